// Programs as their users start them: their output through pipes, and every wait bounded.
#pragma once

#include <sys/types.h>

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

// Runs a program from construction to `wait`; one that is left is killed. Whatever does not come
// within `patience` (10 s) throws.
class Process {
 public:
  struct Options {
    std::string input;            // at most 64 KiB, which is what a pipe holds
    bool without_stdout = false;  // closed at its start, as by `>&-`
    bool without_stderr = false;
    std::vector<int> inherited = {};  // descriptors of ours, which become 3, 4 and so on
  };

  // Looks the program up in PATH unless it has a '/'.
  explicit Process(const std::vector<std::string>& command);
  Process(const std::vector<std::string>& command, const Options& options);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  // The next line of each, without its end.
  std::string read_line();
  std::string read_error_line();
  // What is left of each until its end.
  std::string rest_of_stdout();
  std::string rest_of_stderr();

  void signal(int number) const;

  // Its exit status, or 128 and the signal that ended it.
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

}  // namespace support
