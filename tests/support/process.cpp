#include "process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace support {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto patience = std::chrono::seconds(10);

[[noreturn]] void fail(int error, const char* what) {
  throw std::system_error(error, std::generic_category(), what);
}

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail(errno, "pipe2");
    read = Descriptor(ends[0]);
    write = Descriptor(ends[1]);
  }
  Descriptor read;
  Descriptor write;
};

// The files that become descriptors 0, 1 and 2 in the child.
class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }

  void connect(int number, const Descriptor& end) {
    ::posix_spawn_file_actions_adddup2(&actions_, end.get(), number);
  }
  void close(int number) { ::posix_spawn_file_actions_addclose(&actions_, number); }
  const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

void wait_readable(int descriptor, Clock::time_point until, const char* what) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd polled{descriptor, POLLIN, 0};
    const int count = ::poll(&polled, 1, left > 0 ? static_cast<int>(left) : 0);
    if (count > 0) return;
    if (count < 0 && errno != EINTR) fail(errno, "poll");
    if (left <= 0) throw std::runtime_error(what);
  }
}

// Returns false at the end of the pipe.
bool read_some(const Descriptor& from, std::string& into, Clock::time_point until) {
  wait_readable(from.get(), until, "the program said nothing in time");
  std::array<char, 4096> buffer;  // read fills it
  const auto count = ::read(from.get(), buffer.data(), buffer.size());
  if (count < 0) fail(errno, "read");
  into.append(buffer.data(), static_cast<std::size_t>(count));
  return count > 0;
}

std::string read_all(const Descriptor& from, std::string text) {
  const auto until = Clock::now() + patience;
  while (from.get() >= 0 && read_some(from, text, until)) {
  }
  return text;
}

}  // namespace

Descriptor::Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

Descriptor::~Descriptor() { close(); }

void Descriptor::close() noexcept {
  if (number_ >= 0) ::close(std::exchange(number_, -1));
}

Process::Process(const std::vector<std::string>& command) : Process(command, Options{}) {}

Process::Process(const std::vector<std::string>& command, const Options& options) {
  Pipe in;
  Pipe out;
  Pipe error;
  const auto written = ::write(in.write.get(), options.input.data(), options.input.size());
  if (written != std::ssize(options.input)) fail(errno, "write");

  FileActions actions;
  actions.connect(STDIN_FILENO, in.read);
  actions.connect(STDOUT_FILENO, out.write);
  actions.connect(STDERR_FILENO, error.write);
  if (options.without_stdout) actions.close(STDOUT_FILENO);
  if (options.without_stderr) actions.close(STDERR_FILENO);
  // Duplicates them to high numbers first, so that no descriptor overwrites another before that is
  // copied.
  std::vector<Descriptor> copies;
  for (const int descriptor : options.inherited) {
    copies.emplace_back(::fcntl(descriptor, F_DUPFD_CLOEXEC, 100));
    actions.connect(STDERR_FILENO + static_cast<int>(copies.size()), copies.back());
  }

  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int refused =
      ::posix_spawnp(&pid_, arguments.front(), actions.get(), nullptr, arguments.data(), ::environ);
  if (refused != 0) {
    pid_ = -1;
    fail(refused, words.front().c_str());
  }
  ended_ = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!options.without_stdout) out_ = std::move(out.read);
  if (!options.without_stderr) error_ = std::move(error.read);
}

Process::~Process() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::string Process::next_line(const Descriptor& from, std::string& received) {
  const auto until = Clock::now() + patience;
  for (;;) {
    const auto end = received.find('\n');
    if (end != std::string::npos) {
      std::string line = received.substr(0, end);
      received.erase(0, end + 1);
      return line;
    }
    if (!read_some(from, received, until)) {
      throw std::runtime_error("the program's output ended; it said \"" + received +
                               "\", and on stderr: " + rest_of_stderr());
    }
  }
}

std::string Process::read_line() { return next_line(out_, received_); }

std::string Process::read_error_line() { return next_line(error_, complained_); }

std::string Process::rest_of_stdout() { return read_all(out_, std::exchange(received_, {})); }

std::string Process::rest_of_stderr() { return read_all(error_, std::exchange(complained_, {})); }

void Process::signal(int number) const {
  if (::kill(pid_, number) != 0) fail(errno, "kill");
}

int Process::wait() {
  wait_readable(ended_.get(), Clock::now() + patience, "the program did not end in time");
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) fail(errno, "waitpid");
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool soon(const std::function<bool()>& condition, std::chrono::milliseconds within) {
  for (const auto until = Clock::now() + within; !condition();) {
    if (Clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace support
