// The demo server, from outside: the files of Unix sockets, and endpoints that it refuses.

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>

#include "support/client.hpp"
#include "support/datagram_client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"

namespace {

namespace fs = std::filesystem;

const std::array<std::string, 2> file_kinds{"unix", "unixgram"};

// Waits until no process has the socket. A child ends a moment after its server was killed.
void wait_until_dead(const Line& line) {
  if (line.stream()) return wait_until_refused(line);
  const DatagramClient client(line);
  BOOST_TEST(soon([&] { return client.try_send("") == ECONNREFUSED; }));
}

// Checks that the server ends with 1, and with one line, which names the endpoint and the reason.
void check_cannot_listen(const std::string& endpoint, const std::string& reason,
                         const Words& starter = {}) {
  Words words = starter;
  const Words command = demo({"echo", "--listen", endpoint});
  words.insert(words.end(), command.begin(), command.end());
  Process process(words);
  BOOST_TEST(process.rest_of_stdout().empty());
  const std::string said = process.rest_of_stderr();
  BOOST_TEST(one_line(said), said);
  BOOST_TEST(said.find(endpoint + ": ") != std::string::npos, said);
  BOOST_TEST(said.find(reason) != std::string::npos, said);
  BOOST_TEST(process.wait() == 1);
}

// Returns a starter for a program without privileges. If there is none, prints a message.
std::optional<Words> without_privileges() {
  if (::geteuid() != 0) return Words{};
  Words words{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};
  Words trial = words;
  trial.insert(trial.end(), {demo({}).front(), "--help"});
  try {
    if (Process(trial).wait() == 0) return words;
  } catch (const std::system_error&) {
  }
  BOOST_TEST_MESSAGE("nothing can be started without privileges here");
  return std::nullopt;
}

bool is_socket(const std::string& path) { return fs::is_socket(fs::symlink_status(path)); }

}  // namespace

// --- the file -----------------------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_DATA_TEST_CASE(its_file_goes_when_it_ends, data::make(file_kinds) * data::make(policies),
                     kind, policy) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Echo echo({"--policy", policy}, {}, {}, kind);
    BOOST_TEST(is_socket(echo.line.path));
    BOOST_TEST(echoes(echo.line));
    BOOST_TEST(echo.stop(signal) == 0);
    BOOST_TEST(!fs::exists(echo.line.path));
  }
}

// Neither a child of the server nor the end of the server removes the file.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_DATA_TEST_CASE(what_has_its_files_place_by_then_is_left_alone, file_kinds, kind) {
  Echo echo({"--policy", "fork"}, {}, {}, kind);
  BOOST_TEST(echoes(echo.line));
  fs::rename(echo.line.path, echo.line.path + ".moved");
  std::ofstream(echo.line.path) << "somebody else's";
  BOOST_TEST(echo.stop() == 0);
  BOOST_TEST(fs::is_regular_file(echo.line.path));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_DATA_TEST_CASE(after_a_sudden_death_its_path_is_taken_over,
                     data::make(file_kinds) * data::make(policies), kind, policy) {
  Echo first({"--policy", policy}, {}, {}, kind);
  BOOST_TEST(echoes(first.line));
  BOOST_TEST(first.stop(SIGKILL) == 128 + SIGKILL);
  BOOST_TEST(is_socket(first.line.path));
  wait_until_dead(first.line);
  Process second(demo({"echo", "--policy", policy, "--listen", first.line.endpoint()}));
  const Line line(second.read_line());
  BOOST_TEST(line.path == first.line.path);
  BOOST_TEST(echoes(line));
  second.signal(SIGTERM);
  BOOST_TEST(second.wait() == 0);
  BOOST_TEST(!fs::exists(line.path));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_DATA_TEST_CASE(a_name_without_file_is_free_once_nobody_has_it,
                     data::make({"unix@", "unixgram@"}), kind) {
  Echo first({}, {}, {}, kind);
  BOOST_TEST(echoes(first.line));
  BOOST_TEST(first.stop(SIGKILL) == 128 + SIGKILL);
  Process second(demo({"echo", "--listen", first.line.endpoint()}));
  BOOST_TEST(echoes(Line(second.read_line())));
}

// --- paths that are in use -----------------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_DATA_TEST_CASE(a_path_in_use_is_said_in_one_line_and_its_server_unharmed,
                     data::make({"unix", "unixgram", "unix@", "unixgram@"}), kind) {
  Echo first({"--stats", "3600"}, {}, {}, kind);
  check_cannot_listen(first.line.endpoint(), "Address already in use");
  BOOST_TEST(echoes(first.line));
  BOOST_TEST(first.stop() == 0);
  // The check whether the first server is alive did not count as a client.
  const std::string said = first.process.rest_of_stderr();
  BOOST_TEST(said.find(" accepted=1 ") != std::string::npos, said);
}

BOOST_AUTO_TEST_CASE(a_path_of_another_kind_of_server_is_in_use_as_well, *timeout(20)) {
  Echo datagrams({}, {}, {}, "unixgram");
  check_cannot_listen("unix:" + datagrams.line.path, "Address already in use");
  Echo connections({}, {}, {}, "unix");
  check_cannot_listen("unixgram:" + connections.line.path, "Address already in use");
  BOOST_TEST(echoes(datagrams.line));
  BOOST_TEST(echoes(connections.line));
}

BOOST_AUTO_TEST_CASE(a_server_that_stands_still_is_alive, *timeout(20)) {
  Echo first({}, {}, {}, "unix");
  first.process.signal(SIGSTOP);
  check_cannot_listen(first.line.endpoint(), "Address already in use");
  first.process.signal(SIGCONT);
  BOOST_TEST(echoes(first.line));
}

BOOST_AUTO_TEST_CASE(an_udp_port_in_use_is_said_in_one_line, *timeout(20)) {
  Echo first({}, {}, {}, "udp");
  check_cannot_listen(first.line.endpoint(), "Address already in use");
  BOOST_TEST(echoes(first.line));
}

// --- paths that are not a socket's ---------------------------------------------------------------

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_DATA_TEST_CASE(what_is_no_socket_is_left_untouched, file_kinds, kind) {
  const Scratch scratch;
  const std::string endpoint = kind + ":" + scratch.path("taken");
  std::ofstream(scratch.path("taken")) << "kept";
  check_cannot_listen(endpoint, "Address already in use");
  std::string kept;
  std::ifstream(scratch.path("taken")) >> kept;
  BOOST_TEST(kept == "kept");
  fs::rename(scratch.path("taken"), scratch.path("other"));
  fs::create_symlink("other", scratch.path("taken"));
  check_cannot_listen(endpoint, "Address already in use");
  BOOST_TEST(fs::is_symlink(scratch.path("taken")));
  fs::remove(scratch.path("taken"));
  fs::create_directory(scratch.path("taken"));
  check_cannot_listen(endpoint, "Address already in use");
  BOOST_TEST(fs::is_directory(scratch.path("taken")));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_DATA_TEST_CASE(a_path_is_as_long_as_a_socket_may_have, file_kinds, kind) {
  constexpr std::size_t longest = sizeof(sockaddr_un::sun_path) - 1;
  const Scratch scratch;
  std::string path = scratch.path("");
  path.resize(longest, 'x');
  Process process(demo({"echo", "--listen", kind + ":" + path}));
  const Line line(process.read_line());
  BOOST_TEST(line.path == path);
  BOOST_TEST(echoes(line));
  process.signal(SIGTERM);
  BOOST_TEST(process.wait() == 0);
  check_cannot_listen(kind + ":" + path + "xx", "");
  BOOST_TEST(fs::is_empty(scratch.path("")));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_DATA_TEST_CASE(a_directory_that_is_none_is_said_in_one_line, file_kinds, kind) {
  const Scratch scratch;
  check_cannot_listen(kind + ":" + scratch.path("missing/socket"), "No such file or directory");
  std::ofstream(scratch.path("file")) << "no directory";
  check_cannot_listen(kind + ":" + scratch.path("file/socket"), "Not a directory");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_DATA_TEST_CASE(a_directory_without_permission_is_said_in_one_line, file_kinds, kind) {
  const auto starter = without_privileges();
  if (!starter) return;
  const Scratch scratch;
  fs::permissions(scratch.path(""), fs::perms::owner_read | fs::perms::owner_exec);
  check_cannot_listen(kind + ":" + scratch.path("socket"), "Permission denied", *starter);
  fs::permissions(scratch.path(""), fs::perms::owner_all);
}

BOOST_AUTO_TEST_CASE(what_is_no_endpoint_is_answered_with_the_usage, *timeout(60)) {
  for (const std::string endpoint :
       {"unix:",     "unix:@",           "unixgram:",         "unixgram:@",
        "unix",      "unixgram",         "unixpacket:/x",     "udp:",
        "udp://",    "udp://127.0.0.1",  "udp://127.0.0.1:",  "udp://127.0.0.1:65536",
        "udp://:80", "udp://::1:80",     "udp://[]:80",       "fd:",
        "fd://",     "fd://x",           "fd://-1",           "fd://3x",
        "fd:// 3",   "fd://99999999999", "UDP://127.0.0.1:0", "/tmp/socket",
        "@name"}) {
    Process process(demo({"echo", "--listen", endpoint}));
    const std::string said = process.rest_of_stderr();
    BOOST_TEST(said.starts_with("netserve: "), said);
    BOOST_TEST(said.find(" [OPTIONS]") != std::string::npos, endpoint << ": " << said);
    BOOST_TEST(process.rest_of_stdout().empty());
    BOOST_TEST(process.wait() == 2, endpoint);
  }
}
