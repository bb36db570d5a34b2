// The demo server, restarted by SIGHUP while clients connect and leave.
//     NETSERVE_RESTARTS   how often, for each row; 5 unless given

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gsl/util>
#include <string>
#include <thread>
#include <vector>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"

namespace {

const std::vector<std::string> kinds{"tcp", "unix", "unix@"};

// Threads that connect again and again, each time for one answer, until `stop`.
class Load {
 public:
  explicit Load(const Line& line) {
    for (int i = 0; i < 3; ++i) threads_.emplace_back([this, &line] { come_again(line); });
  }
  ~Load() { stop(); }

  void stop() {
    stopped_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  std::size_t served() const { return served_; }
  // Waits until that many clients have been served, or one has failed.
  void wait_for(std::size_t served) const {
    for (std::size_t came = came_; served_ < served && failed_ == 0; came = came_) came_.wait(came);
  }
  // Returns how many connections were refused, were reset, or got no answer.
  std::size_t failed() const { return failed_; }
  std::string why() const { return why_; }

 private:
  void come_again(const Line& line) {
    while (!stopped_) {
      const auto tell = gsl::finally([this] {
        ++came_;
        came_.notify_all();
      });
      try {
        const Client client = line.client();
        client.send("hello\n");
        if (client.receive(6) == "hello\n") {
          ++served_;
          continue;
        }
      } catch (const std::exception& error) {
        if (failed_ == 0) why_ = error.what();
      }
      ++failed_;
    }
  }

  std::atomic<bool> stopped_{false};
  std::atomic<std::size_t> served_{0};
  std::atomic<std::size_t> failed_{0};
  std::atomic<std::size_t> came_{0};  // served and failed clients together
  std::string why_;
  std::vector<std::thread> threads_;
};

// A server, the server that replaced it, and so on.
struct Dynasty {
  Dynasty(const Words& arguments, const std::string& kind) : first(arguments, {}, {}, kind) {
    // This process waits for the programs that the first one started, after that has ended.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ruler = first.process.pid();
  }

  Dynasty(const Dynasty&) = delete;
  Dynasty& operator=(const Dynasty&) = delete;
  ~Dynasty() {
    if (ruler > 0) ::kill(ruler, SIGKILL);
  }

  // Restarts the server; returns the status of the program that ended.
  int restart() {
    ::kill(ruler, SIGHUP);
    const std::string said = first.process.read_error_line();
    const std::string words = "restarted as process ";
    const auto at = said.find(words);
    if (at == said.npos) throw std::runtime_error("it says: " + said);
    const pid_t before = std::exchange(ruler, std::stoi(said.substr(at + words.size())));
    drained = first.process.read_error_line();
    return status_of(before);
  }

  int end() {
    ::kill(ruler, SIGTERM);
    drained = first.process.read_error_line();
    const int status = status_of(std::exchange(ruler, -1));
    // stderr ends when no process has it open.
    BOOST_TEST(first.process.rest_of_stderr().empty());
    return status;
  }

  int status_of(pid_t process) {
    if (process == first.process.pid()) return first.process.wait();
    int status = -1;
    ::waitpid(process, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::size_t descriptors() const {
    const std::filesystem::path all = "/proc/" + std::to_string(ruler) + "/fd";
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(all), {}));
  }

  Echo first;
  pid_t ruler = -1;
  std::string drained;
};

int restarts() {
  const char* const text = std::getenv("NETSERVE_RESTARTS");
  return text != nullptr ? std::atoi(text) : 5;
}

}  // namespace

BOOST_TEST_DECORATOR(*timeout(600))
BOOST_DATA_TEST_CASE(no_client_is_lost_by_restarts,
                     boost::unit_test::data::make(kinds) * boost::unit_test::data::make(policies),
                     kind, policy) {
  Dynasty dynasty({"--policy", policy}, kind);
  BOOST_TEST(echoes(dynasty.first.line));
  std::size_t descriptors = 0;
  {
    Load load(dynasty.first.line);
    for (int i = 0; i < restarts(); ++i) {
      const Client stays = dynasty.first.client();
      BOOST_TEST(echoes(stays));
      const std::size_t before = load.served();
      BOOST_TEST(dynasty.restart() == 0);
      BOOST_TEST(dynasty.drained.ends_with(", cut 0, dropped 0, stuck 0"), dynasty.drained);
      BOOST_TEST(stays.receive_to_end().empty());
      load.wait_for(before + 10);
    }
    load.stop();
    BOOST_TEST(load.failed() == 0U, load.why());
    BOOST_TEST_MESSAGE("served " << load.served());
    descriptors = dynasty.descriptors();
  }
  BOOST_TEST(echoes(dynasty.first.line));
  BOOST_TEST(dynasty.restart() == 0);
  // Sockets of earlier clients may still linger, and the next program may not have closed its pipe
  // yet.
  const auto until = Clock::now() + quickly;
  while (dynasty.descriptors() > descriptors && Clock::now() < until) std::this_thread::yield();
  BOOST_TEST(dynasty.descriptors() <= descriptors);
  BOOST_TEST(dynasty.end() == 0);
  BOOST_CHECK_THROW(dynasty.first.client(), std::system_error);
  const std::string& path = dynasty.first.line.path;
  if (kind == "unix") BOOST_TEST(!std::filesystem::exists(path));
}

BOOST_AUTO_TEST_CASE(datagrams_find_the_next_server, *timeout(60)) {
  for (const std::string kind : {"udp", "unixgram"}) {
    Dynasty dynasty({}, kind);
    BOOST_TEST(echoes(dynasty.first.line));
    for (int i = 0; i < 3; ++i) {
      BOOST_TEST(dynasty.restart() == 0);
      BOOST_TEST(echoes(dynasty.first.line));
    }
    BOOST_TEST(dynasty.end() == 0);
    if (kind == "unixgram") BOOST_TEST(!std::filesystem::exists(dynasty.first.line.path));
  }
}

BOOST_AUTO_TEST_CASE(it_serves_on_if_the_next_program_does_not_start, *timeout(60)) {
  Scratch scratch;
  // A copy of the program, which is then replaced by one that ends at once, and then removed.
  const std::string program = scratch.path("netserve");
  std::filesystem::copy_file(demo({}).front(), program);
  Process process({program, "echo", "--listen", "tcp://127.0.0.1:0"});
  const Line line(process.read_line());
  BOOST_TEST(echoes(line));
  std::filesystem::remove(program);
  process.signal(SIGHUP);
  BOOST_TEST(process.read_error_line().find("cannot restart") != std::string::npos);
  BOOST_TEST(echoes(line));
  {
    std::ofstream script(program);
    script << "#!/bin/sh\nexit 1\n";
  }
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  process.signal(SIGHUP);
  BOOST_TEST(process.read_error_line().find("the new process ended before it was ready") !=
             std::string::npos);
  BOOST_TEST(echoes(line));
  process.signal(SIGTERM);
  BOOST_TEST(process.wait() == 0);
}

BOOST_AUTO_TEST_CASE(a_signal_to_end_ends_the_wait_for_the_next_program, *timeout(60)) {
  Scratch scratch;
  const std::string program = scratch.path("netserve");
  std::filesystem::copy_file(demo({}).front(), program);
  Process process({program, "echo", "--listen", "tcp://127.0.0.1:0"});
  const Line line(process.read_line());
  std::filesystem::remove(program);
  {
    std::ofstream script(program);
    script << "#!/bin/sh\necho started\nexec sleep 60\n";
  }
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  process.signal(SIGHUP);
  BOOST_TEST(process.read_line() == "started");
  BOOST_TEST(echoes(line));
  process.signal(SIGTERM);
  BOOST_TEST(process.read_error_line().find("this process was asked to stop") != std::string::npos);
  BOOST_TEST(process.wait() == 0);
}
