// The demo server with a pipe, a socket or a terminal that no process reads as stdout or stderr.

#include <csignal>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"

namespace {

// Runs the command that follows its own arguments, with something full in place of a descriptor.
const std::string starter =
    "import fcntl, os, pty, signal, socket, sys, termios\n"
    "kind, number = sys.argv[1], int(sys.argv[2])\n"
    "if kind == 'pipe':\n"
    "    theirs, ours = os.pipe()\n"
    "elif kind == 'socket':\n"
    "    theirs, ours = [end.detach() for end in socket.socketpair()]\n"
    "else:\n"
    "    theirs, ours = pty.openpty()\n"
    "    termios.tcflow(ours, termios.TCOOFF)\n"
    "os.set_blocking(ours, False)\n"
    "for size in (4096, 1):\n"
    "    try:\n"
    "        while kind != 'terminal': os.write(ours, b'x' * size)\n"
    "    except BlockingIOError:\n"
    "        pass\n"
    "os.set_blocking(ours, True)\n"
    "os.set_inheritable(theirs, True)\n"  // else no process would have the reading end
    "os.dup2(ours, number)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n";

struct Unread {
  std::string kind;
  std::string number;
  friend std::ostream& operator<<(std::ostream& out, const Unread& unread) {
    return out << unread.kind << " as " << unread.number;
  }
};

std::vector<Unread> all_unread() {
  std::vector<Unread> all;
  std::vector<std::string> kinds{"pipe", "socket"};
  // A minimal root has no terminals.
  if (std::filesystem::exists("/dev/pts/ptmx")) kinds.emplace_back("terminal");
  for (const std::string& kind : kinds) {
    for (const std::string number : {"1", "2"}) all.push_back({kind, number});
  }
  return all;
}

Words with(const Unread& unread, const Words& arguments) {
  Words words{"python3", "-c", starter, unread.kind, unread.number};
  for (const std::string& word : demo(arguments)) words.push_back(word);
  return words;
}

// Returns an endpoint that was free a moment ago, because the demo cannot print its own.
Line free_place() {
  Echo other;
  BOOST_TEST(other.stop() == 0);
  return other.line;
}

}  // namespace

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(it_starts_serves_and_stops_as_ever, all_unread(), unread) {
  const Line line = free_place();
  Process process(with(unread, {"echo", "--listen", line.endpoint(), "--stats", "0.01"}));
  const Client client = wait_until_accepted(line);
  BOOST_TEST(echoes(client));
  process.signal(SIGUSR1);
  BOOST_TEST(echoes(client));
  const auto begin = Clock::now();
  process.signal(SIGTERM);
  BOOST_TEST(process.wait() == 0);
  BOOST_TEST((Clock::now() - begin < quickly));
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(what_it_cannot_say_does_not_keep_it_from_ending, all_unread(), unread) {
  Process refused(with(unread, {"echo", "--listen", "nowhere"}));
  BOOST_TEST(refused.wait() == 2);
  Process helping(with(unread, {"--help"}));
  BOOST_TEST(helping.wait() == 0);
  Process unable(with(unread, {"echo", "--listen", "tcp://203.0.113.1:0"}));
  BOOST_TEST(unable.wait() == 1);
}
