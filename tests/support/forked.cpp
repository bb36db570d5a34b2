#include "forked.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace support {

Forked::Forked(const std::function<int()>& run) : process_(::fork()) {
  if (process_ == 0) ::_exit(run());
}

Forked::~Forked() {
  if (process_ < 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

int Forked::status() {
  const int ended = static_cast<int>(::syscall(SYS_pidfd_open, process_, 0));
  pollfd polled{ended, POLLIN, 0};
  const bool in_time = ::poll(&polled, 1, 10'000) == 1;
  ::close(ended);
  if (!in_time) return -2;
  int status = 0;
  ::waitpid(process_, &status, 0);
  process_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool Forked::runs() const {
  siginfo_t ended{};
  return ::waitid(P_PID, static_cast<id_t>(process_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         ended.si_pid == 0;
}

}  // namespace support
