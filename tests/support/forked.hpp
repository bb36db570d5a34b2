// A process that a test forks. It imports nothing, so it may come before any other include.
#pragma once

#include <sys/types.h>

#include <functional>

namespace support {

// Runs a function in a forked process, which ends with the status that it returns, and without
// destructors. Killed if it is left.
class Forked {
 public:
  explicit Forked(const std::function<int()>& run);
  Forked(const Forked&) = delete;
  Forked& operator=(const Forked&) = delete;
  ~Forked();
  // The exit status; -1 for a signal, -2 if it goes on for ten seconds.
  int status();
  // Whether it has not ended.
  bool runs() const;
  pid_t process() const noexcept { return process_; }

 private:
  pid_t process_;
};

}  // namespace support
