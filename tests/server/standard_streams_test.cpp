// Programs that closed stdin, stdout and stderr: no descriptor of the library gets their numbers,
// so text that is written to these streams is not sent to a client.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "support/server_test.hpp"

namespace {

bool is_open(int descriptor) { return ::fcntl(descriptor, F_GETFD) >= 0; }
bool all_closed() { return !is_open(0) && !is_open(1) && !is_open(2); }
void close_all() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) ::close(descriptor);
}

// Runs a function in a child; returns 0, or the value by which the function describes a failure.
int in_child(const std::function<int()>& function) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      ::_exit(function());
    } catch (...) {
      ::_exit(101);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Answers whether the streams are closed where the handler runs, which may be a child.
struct Looks : net::StreamRequestHandler {
  net::Next handle() {
    const std::string asked(rfile.read_some());
    if (asked == "throw") throw std::runtime_error("somebody else's secret");
    wfile.write(all_closed() && request().fileno() > 2 ? "closed" : "opened");
    return net::Next::keep;
  }
};
struct Converses : net::StreamRequestHandler {
  void handle() {
    for (auto asked = rfile.read_some(); !asked.empty(); asked = rfile.read_some()) {
      if (asked == "throw") throw std::runtime_error("somebody else's secret");
      wfile.write(all_closed() && request().fileno() > 2 ? "closed" : "opened");
    }
  }
};
struct LooksAtDatagram : net::DatagramRequestHandler {
  void handle() {
    reply(all_closed() && request().fileno() > 2 ? std::string_view("closed") : "opened");
    if (packet().size() == 5) throw std::runtime_error("somebody else's secret");
  }
};

template <class Server>
int serves_connections(const net::Address& address, bool close_before) {
  if (close_before) close_all();
  Server server{address, quick()};
  if (!close_before) close_all();
  std::thread serving([&] { server.serve_forever(); });
  int wrong = 0;
  {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(std::make_unique<Client>(server.server_address()));
      if (clients.back()->socket.fileno() <= 2) wrong |= 1;
      clients.back()->send("hello");
      if (clients.back()->receive(6) != "closed") wrong |= 2;
      if (!all_closed()) wrong |= 4;
    }
    // The report of this failure is written nowhere.
    clients.back()->send("throw");
    if (!clients.back()->sees_end()) wrong |= 8;
    clients.pop_back();
    for (const auto& client : clients) {
      if (client->socket.wait_to_receive(20ms)) wrong |= 16;
    }
  }
  server.shutdown();
  serving.join();
  server.server_close(2s);
  return wrong | (all_closed() ? 0 : 32);
}

template <class Server>
int serves_datagrams(const net::Address& address, bool close_before) {
  if (close_before) close_all();
  Server server{address, quick()};
  if (!close_before) close_all();
  std::thread serving([&] { server.serve_forever(); });
  int wrong = 0;
  {
    DatagramClient client(server);
    if (client.socket.fileno() <= 2) wrong |= 1;
    for (const char* const text : {"hello!", "throw", "again!"}) {
      if (client.ask(text) != "closed") wrong |= 2;
    }
  }
  server.shutdown();
  serving.join();
  server.server_close(2s);
  return wrong | (all_closed() ? 0 : 32);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(standard_streams, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(40))
BOOST_AUTO_TEST_CASE_TEMPLATE(servers_of_connections_leave_them_closed, Policy, Policies) {
  const ScratchDirectory scratch;
  const auto path = net::Address::unix_path(scratch.path("socket"));
  for (const bool before : {true, false}) {
    BOOST_TEST(in_child([&] {
                 return serves_connections<net::TcpServer<Looks, Policy>>(loopback(), before);
               }) == 0);
    if constexpr (!std::is_same_v<Policy, net::Inline>) {  // Inline serves one at a time
      BOOST_TEST(in_child([&] {
                   return serves_connections<net::TcpServer<Converses, Policy>>(loopback(), before);
                 }) == 0);
    }
    BOOST_TEST(in_child([&] {
                 return serves_connections<net::UnixStreamServer<Looks, Policy>>(path, before);
               }) == 0);
  }
}

BOOST_TEST_DECORATOR(*timeout(40))
BOOST_AUTO_TEST_CASE_TEMPLATE(servers_of_datagrams_leave_them_closed, Policy, Policies) {
  const ScratchDirectory scratch;
  const auto path = net::Address::unix_path(scratch.path("socket"));
  for (const bool before : {true, false}) {
    BOOST_TEST(in_child([&] {
                 return serves_datagrams<net::UdpServer<LooksAtDatagram, Policy>>(loopback(),
                                                                                  before);
               }) == 0);
    BOOST_TEST(in_child([&] {
                 return serves_datagrams<net::UnixDatagramServer<LooksAtDatagram, Policy>>(path,
                                                                                           before);
               }) == 0);
  }
}

BOOST_AUTO_TEST_CASE(sockets_leave_them_closed, *timeout(20)) {
  BOOST_TEST(in_child([] {
               const net::Descriptor file(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10));
               close_all();
               int wrong = 0;
               const auto look = [&](int descriptor, int mark) {
                 if (descriptor <= 2 || !all_closed()) wrong |= mark;
                 if ((::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) == 0) wrong |= mark;
               };
               const net::Socket plain(net::Family::ipv4, net::SocketType::datagram);
               look(plain.fileno(), 1);
               net::Socket listener = net::create_server(loopback());
               look(listener.fileno(), 2);
               const net::Socket client = net::create_connection(listener.getsockname());
               look(client.fileno(), 4);
               look(listener.accept().first.fileno(), 8);
               look(client.dup().fileno(), 16);
               auto [left, right] = net::socket_pair();
               look(left.fileno(), 32);
               look(right.fileno(), 32);
               const std::array<int, 3> sent{file.get(), file.get(), file.get()};
               net::send_fds(left, net::bytes("x"), sent);
               std::array<std::byte, 1> into{};
               const std::span<std::byte> buffer(into);
               net::Ancillary ancillary(sizeof sent);
               const auto received = net::recvmsg(right, std::span(&buffer, 1), &ancillary);
               const auto numbers = ancillary.items().at(0).data;
               const auto descriptors = ancillary.take_descriptors();
               if (descriptors.size() != 3 || received.ancillary_truncated) wrong |= 64;
               for (std::size_t i = 0; i < descriptors.size(); ++i) {
                 look(descriptors[i].get(), 64);
                 int number = -1;
                 std::memcpy(&number, numbers.subspan(i * sizeof number).data(), sizeof number);
                 if (number != descriptors[i].get()) wrong |= 64;
               }
               return wrong;
             }) == 0);
}

BOOST_AUTO_TEST_CASE(want_of_other_numbers_is_an_error_and_leaves_nothing, *timeout(20)) {
  BOOST_TEST(in_child([] {
               auto [left, right] = net::socket_pair();
               const net::Descriptor file(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10));
               net::Socket listener = net::create_server(loopback());
               const net::Socket client = net::create_connection(listener.getsockname());
               const std::array<int, 1> sent{file.get()};
               net::send_fds(left, net::bytes("x"), sent);
               close_all();
               const rlimit limit{.rlim_cur = 3, .rlim_max = 3};
               ::setrlimit(RLIMIT_NOFILE, &limit);
               int wrong = 0;
               const auto fails = [&](int mark, auto call) {
                 try {
                   call();
                   wrong |= mark;
                 } catch (const std::system_error& error) {
                   if (error.code() != std::errc::too_many_files_open) wrong |= mark;
                 }
                 if (!all_closed()) wrong |= mark;
               };
               fails(1, [] { net::Socket{net::Family::ipv4}; });
               fails(2, [&] { listener.accept(); });
               fails(4, [] { net::socket_pair(); });
               fails(8, [&] { static_cast<void>(client.dup()); });
               std::array<std::byte, 1> into{};
               const std::span<std::byte> buffer(into);
               net::Ancillary ancillary(sizeof sent);
               // This is how the kernel reports that there is no number for a descriptor.
               if (!net::recvmsg(right, std::span(&buffer, 1), &ancillary).ancillary_truncated)
                 wrong |= 16;
               if (!ancillary.take_descriptors().empty() || !all_closed()) wrong |= 16;
               return wrong;
             }) == 0);
}

// For an instant, a socket that was just accepted may have the number of stderr.
BOOST_AUTO_TEST_CASE(a_socket_where_stderr_was_gets_no_report, *timeout(20)) {
  BOOST_TEST(in_child([] {
               auto [left, right] = net::socket_pair();
               ::dup3(right.fileno(), STDERR_FILENO, O_CLOEXEC);
               net::ServerHooks().report({net::Event::Kind::accept_error, "secret"});
               const bool quiet = !left.wait_to_receive(20ms);
               // The journal of a service is a socket too, but the service inherited it.
               ::dup2(right.fileno(), STDERR_FILENO);
               net::ServerHooks().report({net::Event::Kind::listener_dead, "for the journal"});
               return quiet && left.wait_to_receive(1s) ? 0 : 1;
             }) == 0);
}

BOOST_AUTO_TEST_SUITE_END()
