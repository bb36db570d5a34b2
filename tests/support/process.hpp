// Programs started as users start them: their output goes through pipes, and every wait is bounded.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace support {

// Owns a descriptor.
class Descriptor {
 public:
  Descriptor() noexcept = default;
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();

  int get() const noexcept { return number_; }
  void close() noexcept;

 private:
  int number_ = -1;
};

// A program that runs from construction to `wait`; the destructor kills it if it still runs. A wait
// of more than `patience` (10 s) throws.
class Process {
 public:
  struct Options {
    std::string input;            // at most 64 KiB, the capacity of a pipe
    bool without_stdout = false;  // closed at its start, as by `>&-`
    bool without_stderr = false;
    std::vector<int> inherited = {};  // our descriptors; they become 3, 4 and so on
  };

  // Looks the program up in PATH unless it has a '/'.
  explicit Process(const std::vector<std::string>& command);
  Process(const std::vector<std::string>& command, const Options& options);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  // Return the next line of stdout or stderr, without its end.
  std::string read_line();
  std::string read_error_line();
  // Return the rest of stdout or stderr, up to its end.
  std::string rest_of_stdout();
  std::string rest_of_stderr();

  void signal(int number) const;

  // Waits, and returns the exit status, or 128 plus the signal that ended the program.
  int wait();

  pid_t pid() const noexcept { return pid_; }

 private:
  std::string next_line(const Descriptor& from, std::string& received);

  Descriptor out_;
  Descriptor error_;
  Descriptor ended_;
  std::string received_;    // of stdout, not read yet
  std::string complained_;  // of stderr
  pid_t pid_ = -1;
};

// Polls a condition of another process, such as a file of /proc, that reports no change. Returns
// whether it became true in time.
bool soon(const std::function<bool()>& condition,
          std::chrono::milliseconds within = std::chrono::seconds(10));

}  // namespace support
