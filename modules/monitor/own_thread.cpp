module;

#include <pthread.h>

#include <csignal>
#include <functional>
#include <gsl/util>
#include <thread>
#include <utility>

module net.monitor;

import :own_thread;

namespace net {

std::thread start_own_thread(const char* name, std::function<void()> given) {
  sigset_t blocked{};
  sigset_t before{};
  ::sigfillset(&blocked);
  // These signals come from a fault or an abort(3) of the thread itself. At a fault whose signal is
  // blocked, Linux ends the program without calling the signal handler.
  for (const int raised : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
    ::sigdelset(&blocked, raised);
  }
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto restored = gsl::finally([&] { ::pthread_sigmask(SIG_SETMASK, &before, nullptr); });
  return std::thread([name, run = std::move(given)] {
    ::pthread_setname_np(::pthread_self(), name);
    run();
  });
}

}  // namespace net
