module;

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

module net.monitor;

import net.socket;
import :event_streams;
import :own_thread;

namespace net {
namespace {

constexpr auto interval = std::chrono::seconds(1);

// Reads and discards input from the client. Returns false if the client has closed the connection.
bool is_there(Socket& socket) {
  std::array<std::byte, 1024> said;
  try {
    const auto count = socket.try_recv(said);
    return !count || *count > 0;
  } catch (const std::exception&) {
    return false;
  }
}

bool takes(Socket& socket, const std::string& event) {
  try {
    return socket.try_send(bytes(event)) == event.size();
  } catch (const std::exception&) {
    return false;
  }
}

// Shuts the connection down: a forked child of the program may hold a copy of the descriptor, so if
// we only closed ours, the client would wait until that child ends.
void end(Socket& socket) noexcept {
  try {
    socket.shutdown(ShutdownHow::both);
  } catch (const std::exception&) {
    // The client has already closed the connection.
  }
}

}  // namespace

struct EventStreams::State {
  explicit State(std::function<std::string()> given) : event(std::move(given)) {
    thread = start_own_thread("net-events", [this] { run(); });
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      if (streams.empty() && fresh.empty()) {
        changed.wait(lock);
        continue;
      }
      std::list<Socket> told = std::move(fresh);
      fresh.clear();
      const bool all = std::chrono::steady_clock::now() >= next;
      if (all) {
        told.splice(told.end(), streams);
        next = std::chrono::steady_clock::now() + interval;
      }
      lock.unlock();
      tell(told);
      lock.lock();
      streams.splice(streams.end(), told);
      count = streams.size() + fresh.size();
      if (!stopping && fresh.empty()) changed.wait_until(lock, next);
    }
  }

  void tell(std::list<Socket>& told) {
    std::string text;
    try {
      if (!told.empty()) text = event();
    } catch (const std::exception&) {
      return;  // out of memory; the next event is sent in a second
    }
    told.remove_if([&](Socket& socket) {
      if (is_there(socket) && takes(socket, text)) return false;
      end(socket);
      return true;
    });
  }

  const std::function<std::string()> event;
  std::mutex mutex;  // guards the members below
  std::condition_variable changed;
  std::list<Socket> streams;
  std::list<Socket> fresh;  // those that have received no event yet
  std::size_t count = 0;
  std::chrono::steady_clock::time_point next{};
  bool stopping = false;
  std::thread thread;
};

EventStreams::EventStreams(std::function<std::string()> event)
    : state_(std::make_unique<State>(std::move(event))) {}

EventStreams::~EventStreams() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->changed.notify_all();
  }
  state_->thread.join();
  for (Socket& socket : state_->streams) end(socket);
  for (Socket& socket : state_->fresh) end(socket);
}

bool EventStreams::full() const {
  const std::lock_guard lock(state_->mutex);
  return state_->count >= most;
}

void EventStreams::add(Socket socket) {
  const std::lock_guard lock(state_->mutex);
  if (state_->count >= most) {
    end(socket);
    return;
  }
  state_->fresh.push_back(std::move(socket));
  ++state_->count;
  state_->changed.notify_all();
}

}  // namespace net
