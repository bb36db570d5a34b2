module;

#include <pthread.h>

#include <csignal>
#include <initializer_list>

module net.server;

import :signals;

namespace net {

BlockedSignals::BlockedSignals(const sigset_t& blocked) noexcept {
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before_);
}

BlockedSignals::~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

sigset_t BlockedSignals::asynchronous() noexcept {
  sigset_t signals{};
  ::sigfillset(&signals);
  for (const int raised : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
    ::sigdelset(&signals, raised);
  }
  return signals;
}

sigset_t BlockedSignals::stopping() noexcept {
  sigset_t signals{};
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGINT);
  ::sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace net
