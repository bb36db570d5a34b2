// A policy of one's own: one thread beside the serving thread runs all requests, in order.

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <stop_token>
#include <utility>

#include "serve.hpp"

namespace {

struct OneWorker {
  struct Options {};
  OneWorker(Options, net::PolicyContext&) {}
  ~OneWorker() { stop_.request_stop(); }  // and ended_ waits

  void process(net::Request request) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(request));
    changed_.notify_one();
  }

  net::DrainReport drain(net::Deadline deadline) {
    stop_.request_stop();
    const bool ended = ended_.wait_until(deadline.point()) == std::future_status::ready;
    return {.stuck = ended ? 0U : 1U};
  }

 private:
  void work() {
    for (std::unique_lock lock(mutex_);; lock.lock()) {
      if (!changed_.wait(lock, stop_.get_token(), [this] { return !waiting_.empty(); })) return;
      net::Request request = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      if (request.step() == net::Next::keep) request.park();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<net::Request> waiting_;
  std::stop_source stop_;
  std::future<void> ended_ = std::async(std::launch::async, &OneWorker::work, this);
};

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};
}  // namespace

int main(int argc, char** argv) {
  net::TcpServer<Echo, OneWorker> server{net::Address{"127.0.0.1", port(argc, argv)}};
  serve(server);
}
