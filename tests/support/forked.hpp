// A process that a test forks. This header imports nothing, so it may come before any other
// include.
#pragma once

#include <sys/types.h>

#include <functional>

namespace support {

// Runs a function in a forked process, which ends with the status that the function returns,
// without running destructors. The destructor kills the process if it still runs.
class Forked {
 public:
  explicit Forked(const std::function<int()>& run);
  Forked(const Forked&) = delete;
  Forked& operator=(const Forked&) = delete;
  ~Forked();
  // Returns the exit status; -1 if a signal ended the process, -2 if it still runs after ten
  // seconds.
  int status();
  // Returns whether the process has not ended.
  bool runs() const;
  pid_t process() const noexcept { return process_; }

 private:
  pid_t process_;
};

}  // namespace support
