// Descriptors that one thread is about to close or has just accepted, while another thread forks.
//
// The program replaces accept4(2) and close(2) by slow ones, so that forks fall in between.

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "support/server_test.hpp"

namespace {

std::atomic<bool> slow{false};

void wait_if_slow() {
  if (slow.load()) std::this_thread::sleep_for(3ms);
}

}  // namespace

extern "C" {

int accept4(int listener, sockaddr* name, socklen_t* size, int flags) {
  const auto accepted = static_cast<int>(::syscall(SYS_accept4, listener, name, size, flags));
  if (accepted >= 0) wait_if_slow();
  return accepted;
}

int close(int descriptor) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&name), &size) == 0) wait_if_slow();
  return static_cast<int>(::syscall(SYS_close, descriptor));
}
}

namespace {

using Forking = net::ForkPerRequest;

struct Staying : net::StreamRequestHandler {
  explicit Staying(const Gate& opening) : released(opening) {}
  void handle() {
    wfile.write("x");
    released.wait(20s);
  }
  const Gate& released;
};

// Answers, and ends the connection in the way that the client asked for.
struct Ending : net::StreamRequestHandler {
  net::Next handle() {
    const std::string way(rfile.read_some());
    wfile.write(way);
    if (way == "close") request().close();
    return way == "keep" ? net::Next::keep : net::Next::close;
  }
};

struct Chats : net::StreamRequestHandler {
  void handle() {
    const std::string way(rfile.read_some());
    wfile.write(way);
    if (way == "close") request().close();
  }
};

bool accepts(const net::Address& address) {
  try {
    net::create_connection(address, 1s);
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

using Others =
    std::tuple<net::TcpServer<Ending, net::ThreadPool>,
               net::TcpServer<Ending, net::ThreadPerRequest>, net::TcpServer<Ending, net::Inline>,
               net::TcpServer<Chats, net::ThreadPool>>;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_fork_transit, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(60))
BOOST_AUTO_TEST_CASE_TEMPLATE(no_child_keeps_a_connection_of_another_server, Other, Others) {
  Gate released;
  net::TcpServer<Staying, Forking> forking{loopback(), quick(), [&] { return Staying(released); }};
  Running forking_running{forking};
  std::atomic<bool> over{false};
  slow = true;
  std::thread forks([&] {
    std::vector<std::unique_ptr<Client>> children;
    while (!over && children.size() < 200) {
      children.push_back(std::make_unique<Client>(forking));
      children.back()->receive(1);
    }
    BOOST_TEST(forking.stats().active == children.size());
    released.open();
  });
  std::atomic<int> kept{0};
  std::atomic<int> asked{0};
  net::Address address;
  {
    Other other{loopback(), quick()};
    address = other.server_address();
    Running running{other};
    std::vector<std::thread> threads;
    for (const char* const way : {"close", "end", "keep"}) {
      threads.emplace_back([&, way] {
        while (asked < 150) {
          Client client{other};
          client.socket.settimeout(5s);  // a child that has a copy keeps it until the child ends
          client.send(way);
          if (client.receive(std::strlen(way)) == "keep") client.end_sending();
          if (!client.is_closed()) ++kept;
          ++asked;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    BOOST_TEST(running.stop(1s).stuck == 0U);
  }
  BOOST_TEST(kept == 0);
  // No child keeps the listener either, once it has closed the descriptors that are not its own.
  BOOST_TEST(soon([&] { return !accepts(address); }));
  over = true;
  forks.join();
  slow = false;
}

BOOST_AUTO_TEST_SUITE_END()
