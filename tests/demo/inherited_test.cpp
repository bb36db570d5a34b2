// The demo server, from outside: sockets that were bound by the program that started it.

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <ostream>
#include <string>
#include <system_error>
#include <utility>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/name.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"

namespace {

enum class State { made, bound, listening };

struct Given {
  Descriptor socket;
  std::string path;
};

// Returns a socket of this kind in this state.
Given given(const Scratch& scratch, const std::string& kind, State state) {
  const std::string endpoint = scratch.endpoint(kind);
  Place place{.host = "127.0.0.1", .port = 0, .path = {}};
  if (kind.starts_with("unix")) place.path = endpoint.substr(endpoint.find(':') + 1);
  const Name name(place);
  const bool stream = kind == "tcp" || kind == "unix" || kind == "unix@";
  const int type = stream ? SOCK_STREAM : kind == "unixpacket" ? SOCK_SEQPACKET : SOCK_DGRAM;
  Descriptor socket(::socket(name.family(), type | SOCK_CLOEXEC, 0));
  BOOST_REQUIRE(socket.get() >= 0);
  if (state != State::made) BOOST_REQUIRE(::bind(socket.get(), name.get(), name.size()) == 0);
  if (state == State::listening) BOOST_REQUIRE(::listen(socket.get(), 10) == 0);
  return {std::move(socket), place.path};
}

State ready(const std::string& kind) {
  return kind == "udp" || kind.starts_with("unixgram") ? State::bound : State::listening;
}

// Returns a command line that starts the demo as a service manager does: the descriptors from 3 on
// are for the process with this number, which is the program itself for $$.
Words activated(const std::string& process, const std::string& count, const Words& arguments) {
  Words words{"sh", "-c", "export LISTEN_PID=" + process + " LISTEN_FDS=" + count + "; exec \"$@\"",
              "sh"};
  const Words command = demo(arguments);
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

void check_stops(Process& process) {
  process.signal(SIGTERM);
  BOOST_TEST(process.wait() == 0);
}

// Checks that the process ends with 1, and with one line, which names the endpoint and the reason.
void check_refuses(Process& process, const std::string& endpoint, const std::string& reason) {
  BOOST_TEST(process.rest_of_stdout().empty());
  const std::string said = process.rest_of_stderr();
  BOOST_TEST(one_line(said), said);
  BOOST_TEST(said.find("cannot listen on " + endpoint + ": ") != std::string::npos, said);
  BOOST_TEST(said.find(reason) != std::string::npos, said);
  BOOST_TEST(process.wait() == 1);
}

struct Unfit {
  const char* kind;
  State state;
  const char* reason;
  friend std::ostream& operator<<(std::ostream& out, const Unfit& unfit) {
    return out << unfit.kind << ": " << unfit.reason;
  }
};

constexpr std::array unfit{
    Unfit{"tcp", State::made, "it does not listen"},
    Unfit{"tcp", State::bound, "it does not listen"},
    Unfit{"udp", State::made, "it is not bound"},
    Unfit{"unix", State::made, "it does not listen"},
    Unfit{"unix", State::bound, "it does not listen"},
    Unfit{"unixgram", State::made, "it is not bound"},
    Unfit{"unixpacket", State::listening, "its socket type is not supported"}};

bool has_systemd() {
  try {
    if (Process({"systemd-socket-activate", "--version"}).wait() == 0) return true;
  } catch (const std::system_error&) {
  }
  BOOST_TEST_MESSAGE("there is no systemd-socket-activate here");
  return false;
}

}  // namespace

// --- fd://N -------------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_DATA_TEST_CASE(it_serves_a_socket_that_it_was_given,
                     data::make(endpoint_kinds) * data::make(policies), kind, policy) {
  const Scratch scratch;
  Given socket = given(scratch, kind, ready(kind));
  Process process(demo({"echo", "--policy", policy, "--listen", "fd://3"}),
                  {.input = {}, .inherited = {socket.socket.get()}});
  socket.socket.close();
  const Line line(process.read_line());
  BOOST_TEST(line.path == socket.path);
  BOOST_TEST(echoes(line));
  check_stops(process);
  // The server must not remove a file that it did not make.
  if (kind == "unix" || kind == "unixgram") BOOST_TEST(std::filesystem::exists(socket.path));
}

BOOST_AUTO_TEST_CASE(it_serves_several_of_them_beside_its_own, *timeout(20)) {
  const Scratch scratch;
  const Given tcp = given(scratch, "tcp", State::listening);
  const Given udp = given(scratch, "udp", State::bound);
  const Given name = given(scratch, "unixgram@", State::bound);
  Process process(
      demo({"echo", "--listen", "fd://4", "--listen", "udp://127.0.0.1:0", "--listen", "fd://3",
            "--listen", "fd://5", "--listen", scratch.endpoint("unix")}),
      {.input = {}, .inherited = {tcp.socket.get(), udp.socket.get(), name.socket.get()}});
  for (int i = 0; i < 5; ++i) BOOST_TEST(echoes(Line(process.read_line())));
  check_stops(process);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_DATA_TEST_CASE(it_says_why_it_cannot_serve_a_socket, unfit, wrong) {
  const Scratch scratch;
  const Given socket = given(scratch, wrong.kind, wrong.state);
  Process process(demo({"echo", "--listen", "fd://3"}),
                  {.input = {}, .inherited = {socket.socket.get()}});
  check_refuses(process, "fd://3", wrong.reason);
}

BOOST_AUTO_TEST_CASE(it_says_why_it_cannot_serve_what_is_no_socket, *timeout(20)) {
  Process file(demo({"echo", "--listen", "fd://0"}));
  check_refuses(file, "fd://0", "Socket operation on non-socket");
  Process nothing(demo({"echo", "--listen", "fd://77"}));
  check_refuses(nothing, "fd://77", "Bad file descriptor");
}

BOOST_AUTO_TEST_CASE(it_refuses_one_that_is_given_twice, *timeout(20)) {
  const Scratch scratch;
  const Given socket = given(scratch, "tcp", State::listening);
  Process process(demo({"echo", "--listen", "fd://3", "--listen", "fd://3"}),
                  {.input = {}, .inherited = {socket.socket.get()}});
  check_refuses(process, "fd://3", "twice");
}

// --- LISTEN_FDS ---------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(it_serves_what_a_service_manager_gives_it, *timeout(20)) {
  const Scratch scratch;
  const Given tcp = given(scratch, "tcp", State::listening);
  const Given datagrams = given(scratch, "unixgram", State::bound);
  Process process(activated("$$", "2", {"echo"}),
                  {.input = {}, .inherited = {tcp.socket.get(), datagrams.socket.get()}});
  for (int i = 0; i < 2; ++i) BOOST_TEST(echoes(Line(process.read_line())));
  check_stops(process);
  BOOST_TEST(process.rest_of_stdout().empty());  // it prints no endpoints of its own
}

BOOST_AUTO_TEST_CASE(it_serves_its_own_endpoints_beside_those, *timeout(20)) {
  const Scratch scratch;
  const Given udp = given(scratch, "udp", State::bound);
  Process process(activated("$$", "1", {"echo", "--listen", "tcp://127.0.0.1:0"}),
                  {.input = {}, .inherited = {udp.socket.get()}});
  const Line first(process.read_line());
  const Line second(process.read_line());
  BOOST_TEST(first.scheme != second.scheme);
  BOOST_TEST(echoes(first));
  BOOST_TEST(echoes(second));
  check_stops(process);
}

BOOST_AUTO_TEST_CASE(what_is_for_another_process_is_none_of_its_business, *timeout(20)) {
  const Scratch scratch;
  const Given udp = given(scratch, "udp", State::bound);
  for (const std::string process_id : {"1", "''", "0$$x"}) {
    Process process(activated(process_id, "1", {"echo", "--listen", scratch.endpoint("unix")}),
                    {.input = {}, .inherited = {udp.socket.get()}});
    const Line line(process.read_line());
    BOOST_TEST(line.scheme == "unix");
    BOOST_TEST(echoes(line));
    check_stops(process);
    BOOST_TEST(process.rest_of_stdout().empty());
  }
}

BOOST_AUTO_TEST_CASE(a_wrong_number_of_sockets_is_said_in_one_line, *timeout(20)) {
  for (const std::string count : {"-1", "abc", "2147483647", "99999999999"}) {
    Process process(activated("$$", count, {"echo", "--listen", "tcp://127.0.0.1:0"}));
    const std::string said = process.rest_of_stderr();
    BOOST_TEST(one_line(said), said);
    BOOST_TEST(said.find("LISTEN_FDS=" + count) != std::string::npos, said);
    BOOST_TEST(process.wait() == 1);
  }
  for (const std::string count : {"1", "9999", "2147483644"}) {
    Process process(activated("$$", count, {"echo", "--listen", "tcp://127.0.0.1:0"}));
    check_refuses(process, "fd://3", "");
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_DATA_TEST_CASE(systemd_starts_it_at_the_first_client, data::make({"unix", "unixgram"}),
                     kind) {
  if (!has_systemd()) return;
  const Scratch scratch;
  const std::string path = scratch.path("socket");
  Words words{"systemd-socket-activate", "--listen=" + path};
  if (std::string(kind) == "unixgram") words.emplace_back("--datagram");
  const Words command = demo({"echo"});
  words.insert(words.end(), command.begin(), command.end());
  Process process(words);
  const std::string listening = process.read_error_line();
  BOOST_TEST(listening.find(path) != std::string::npos, listening);
  const Place place{.host = {}, .port = 0, .path = path};
  if (std::string(kind) == "unix") {
    BOOST_TEST(echoes(Client(place)));
  } else {
    BOOST_TEST(DatagramClient(place).echoes("hello"));
  }
  const Line line(process.read_line());
  BOOST_TEST(line.endpoint() == kind + (":" + path));
  BOOST_TEST(echoes(line));
  check_stops(process);
}
