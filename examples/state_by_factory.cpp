// Sends each client its number. Handlers get the application's state from a factory, which several
// threads may call at the same time: hence the atomic.

#include <atomic>
#include <string>

#include "serve.hpp"

namespace {

class Visits {
 public:
  int next() { return ++count_; }

 private:
  std::atomic<int> count_{0};
};

class Counter : public net::StreamRequestHandler {
 public:
  explicit Counter(Visits& visits) : number_(visits.next()) {}

  void handle() { wfile.write("you are visitor " + std::to_string(number_) + "\n"); }

 private:
  const int number_;
};

}  // namespace

int main(int argc, char** argv) {
  Visits visits;
  net::TcpServer<Counter> server{net::Address{"127.0.0.1", port(argc, argv)},
                                 [&visits] { return Counter(visits); }};
  serve(server);
}
