// The messages that the demo sends to its service manager by sd_notify(3). The test has a manager's
// socket.

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"

namespace {

struct Told {
  std::map<std::string, std::string> state;
  support::Descriptor descriptor;

  bool has(const std::string& name, const std::string& value) const {
    const auto found = state.find(name);
    return found != state.end() && found->second == value;
  }
};

class Manager {
 public:
  Manager()
      : path_(scratch_.path("notify")), socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path_.copy(name.sun_path, sizeof name.sun_path - 1);
    if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
      throw std::runtime_error("bind");
    }
  }

  // Returns the words before the demo's command line.
  Words starter(const Words& variables = {}) const {
    Words words{"env", "NOTIFY_SOCKET=" + path_};
    words.insert(words.end(), variables.begin(), variables.end());
    return words;
  }

  // Returns the next message.
  Told hear() const {
    pollfd polled{socket_.get(), POLLIN, 0};
    if (::poll(&polled, 1, 10'000) != 1) throw std::runtime_error("the manager was told nothing");
    std::array<char, 4096> text{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec buffer{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &buffer;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto count = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (count < 0) throw std::runtime_error("recvmsg");
    Told told;
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(header), sizeof number);
      told.descriptor = support::Descriptor(number);
    }
    std::istringstream lines(std::string(text.data(), static_cast<std::size_t>(count)));
    for (std::string line; std::getline(lines, line);) {
      const auto sign = line.find('=');
      told.state[line.substr(0, sign)] = line.substr(sign + 1);
    }
    return told;
  }
  // Returns the next message that has this state.
  Told hear_of(const std::string& name) const {
    for (;;) {
      Told told = hear();
      if (told.state.contains(name)) return told;
    }
  }

 private:
  Scratch scratch_;
  std::string path_;
  support::Descriptor socket_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_manager_hears_of_start_restart_and_stop, *timeout(60)) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // this process waits for the next program
  const Manager manager;
  Echo echo({}, {}, manager.starter(), "tcp");
  const std::string first = std::to_string(echo.process.pid());
  const Told ready = manager.hear();
  BOOST_TEST(ready.has("READY", "1"));
  BOOST_TEST(ready.has("MAINPID", first));
  BOOST_TEST(manager.hear().state.at("STATUS").starts_with("serving"));

  echo.process.signal(SIGHUP);
  const Told reloading = manager.hear_of("RELOADING");
  BOOST_TEST(std::stoll(reloading.state.at("MONOTONIC_USEC")) > 0);
  const Told next = manager.hear_of("READY");
  const pid_t second = std::stoi(next.state.at("MAINPID"));
  BOOST_TEST(second != echo.process.pid());
  BOOST_TEST(echo.process.wait() == 0);
  BOOST_TEST(echoes(echo.line));

  ::kill(second, SIGTERM);
  // The first program did not report that it was stopping, because the service went on.
  BOOST_TEST(manager.hear_of("STOPPING").has("STATUS", "draining"));
  BOOST_TEST(manager.hear_of("FDSTOREREMOVE").has("FDNAME", "netserve-owned"));
  int status = -1;
  ::waitpid(second, &status, 0);
  BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(the_manager_is_given_the_listener_to_keep, *timeout(60)) {
  const Manager manager;
  Echo echo({}, {}, manager.starter(), "tcp");
  const Told kept = manager.hear_of("FDSTORE");
  BOOST_TEST(!kept.state.at("FDNAME").empty());
  BOOST_TEST_REQUIRE(kept.descriptor.get() >= 0);
  // The program crashes. A client that connects now waits in the kernel's queue for the next one.
  echo.process.signal(SIGKILL);
  echo.process.wait();
  const Client client = echo.line.client();
  Process next(
      {"sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"", "sh", demo({}).front(), "echo"},
      {.input = {}, .inherited = {kept.descriptor.get()}});
  BOOST_TEST(Line(next.read_line()).port == echo.line.port);
  BOOST_TEST(echoes(client));
  next.signal(SIGTERM);
  BOOST_TEST(next.wait() == 0);
}

BOOST_AUTO_TEST_CASE(the_watchdog_hears_of_a_program_that_serves, *timeout(60)) {
  const Manager manager;
  Echo echo({}, {}, manager.starter({"WATCHDOG_USEC=200000"}), "tcp");
  for (int i = 0; i < 3; ++i) BOOST_TEST(manager.hear_of("WATCHDOG").has("WATCHDOG", "1"));
  echo.process.signal(SIGTERM);
  BOOST_TEST(echo.process.wait() == 0);
}

BOOST_AUTO_TEST_CASE(the_watchdog_hears_while_the_next_program_starts, *timeout(60)) {
  const Manager manager;
  Scratch scratch;
  const std::string program = scratch.path("netserve");
  std::filesystem::copy_file(demo({}).front(), program);
  Words command = manager.starter({"WATCHDOG_USEC=200000"});
  for (const std::string& word : Words{program, "echo", "--listen", "tcp://127.0.0.1:0"}) {
    command.push_back(word);
  }
  Process process(command);
  const Line line(process.read_line());
  std::filesystem::remove(program);
  {
    std::ofstream script(program);
    script << "#!/bin/sh\necho started\nexec sleep 60\n";
  }
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  process.signal(SIGHUP);
  BOOST_TEST(process.read_line() == "started");
  manager.hear_of("RELOADING");
  for (int i = 0; i < 3; ++i) manager.hear_of("WATCHDOG");
  process.signal(SIGTERM);
  BOOST_TEST(process.wait() == 0);
}

BOOST_AUTO_TEST_CASE(the_next_program_has_no_descriptor_but_its_own, *timeout(60)) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  Scratch scratch;
  // A file that the program's starter forgot to close.
  const std::string left_open = scratch.path("left open");
  Process process({"sh", "-c", "exec 9>\"$0\"; exec \"$@\"", left_open, demo({}).front(), "echo",
                   "--listen", "tcp://127.0.0.1:0"});
  const Line line(process.read_line());
  process.signal(SIGHUP);
  const std::string said = process.read_error_line();
  const pid_t next = std::stoi(said.substr(said.rfind(' ')));
  for (const auto& each :
       std::filesystem::directory_iterator("/proc/" + std::to_string(next) + "/fd")) {
    std::error_code gone;  // the program may close one at this moment
    BOOST_TEST(std::filesystem::read_symlink(each, gone) != left_open);
  }
  BOOST_TEST(process.wait() == 0);
  ::kill(next, SIGTERM);
  int status = -1;
  ::waitpid(next, &status, 0);
  BOOST_TEST(status == 0);
}
