module;

#include <stdio_ext.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <gsl/assert>
#include <gsl/util>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :connection;
import :service;
import :fork_scope;
import :forked;
import :poller;
import :signals;

namespace net {
namespace {

// glibc 2.36 declares its own `pidfd_open` without C linkage.
int open_pidfd(int process) noexcept {
  return above_standard_streams(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
}

void reap(idtype_t kind, int which) noexcept {
  siginfo_t result{};
  // A host that ignores SIGCHLD leaves nothing to reap (ECHILD).
  while (::waitid(kind, static_cast<id_t>(which), &result, WEXITED) != 0 && errno == EINTR) {
  }
}

// The state of the child's signal handler.
int parent = 0;
Connection* served = nullptr;
std::atomic<bool> asked{false};

// Runs at SIGTERM, which comes from an operator, from a service manager, or because the parent has
// ended.
void on_terminate(int /*signal*/, siginfo_t* info, void* /*context*/) {
  constexpr int ended_by_signal = 128 + SIGTERM;
  if (::getppid() != parent) ::_exit(ended_by_signal);
  // Only the thread that forked has ended; the other threads of the parent go on.
  if (info->si_pid == parent) return;
  if (asked.exchange(true)) ::_exit(ended_by_signal);
  const int error = errno;
  served->silence().ask_to_end(served->conversation(), served->service().options.quiet_grace);
  errno = error;
}

// Sets up the child's signals. `mask` is that of the forking thread; only SIGTERM is removed from
// it. A terminal and a service manager send SIGINT and SIGTERM to all processes, and how a server
// drains is the parent's decision: SIGINT does nothing, and SIGTERM lets a request end. Both are
// caught, not blocked or ignored, since programs that the handler starts would inherit that.
void take_signals(sigset_t mask) noexcept {
  struct sigaction action{};
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  action.sa_sigaction = on_terminate;
  ::sigaction(SIGTERM, &action, nullptr);
  action.sa_sigaction = [](int, siginfo_t*, void*) {};
  struct sigaction before{};
  ::sigaction(SIGINT, nullptr, &before);
  if (before.sa_handler != SIG_IGN) ::sigaction(SIGINT, &action, nullptr);
  // A host that waits for SIGTERM in a thread or by a descriptor blocks it; the child has neither.
  ::sigdelset(&mask, SIGTERM);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  if (::getppid() != parent) ::_exit(0);  // the parent has ended before the prctl
}

[[noreturn]] void serve_in_child(Service& service, Connection& connection, std::size_t slot,
                                 WorkerHooks* hooks) {
  service.children.become_child(slot);
  service.counters.count_for_parent();
  ForkScope::protect_shared_memory(service);
  service.timer.close_in_child();
  OwnDescriptors::close_all_but(connection.socket().fileno());
  connection.in_lot.registered = false;  // the epoll is the parent's
  // What the parent has printed is left to the parent. A flush before the fork could block the
  // serving thread: on a pipe that no process reads, or on a stream that another thread has locked.
  for (FILE* const stream : {stdout, stderr}) ::__fpurge(stream);
  ::prctl(PR_SET_NAME, "net-child");
  if (hooks != nullptr) hooks->worker_started();
  connection.run();
  if (hooks != nullptr) hooks->worker_stopped();
  for (FILE* const stream : {stdout, stderr}) std::fflush(stream);
  ::_exit(0);
}

}  // namespace

Child::Child(Request& request, WorkerHooks* hooks) {
  Expects(request);
  Connection& connection = RequestAccess::connection(request);
  Service& service = connection.service();
  const bool waited = connection.queue_place().waits();
  if (!connection.leave_queue()) {
    RequestAccess::release(request);
    return;
  }
  if (connection.was_cut()) {
    request = {};
    return;
  }
  // A request that gets no child goes on waiting, with its original limit.
  const auto without_child = gsl::finally([&] {
    if (!request) return;
    {
      const std::lock_guard lock(service.registry.mutex);
      connection.silence().note_in_own();
    }
    if (waited) connection.queue_place().rejoin();
  });
  // Reserves a descriptor for the pidfd. To fail after the fork would be too late, because the
  // child may have answered already.
  Descriptor reserved(above_standard_streams(::eventfd(0, EFD_CLOEXEC)));
  if (reserved.get() < 0) throw_system_error(errno, "fork");
  auto tie = std::make_shared<Tie>();
  OwnDescriptors::expect_forks();  // a policy of the application does not call it
  slot_ = service.children.take_slot();
  int process = -1;
  {
    const BlockedSignals blocked(BlockedSignals::stopping());
    {
      const std::lock_guard lock(service.registry.mutex);
      connection.silence().note_in(service.children.silence(slot_));
    }
    const int this_process_id = ::getpid();
    process = fork_for_request();
    if (process == 0) {
      parent = this_process_id;
      served = &connection;
      take_signals(blocked.before());
      serve_in_child(service, *RequestAccess::release(request), slot_, hooks);
    }
    if (process < 0) {
      const int error = errno;
      service.children.free_slot(slot_);
      throw_system_error(error, "fork");
    }
    reserved.close();
    descriptor_ = open_pidfd(process);
    // This must happen before a signal handler that kills the children can run in this thread.
    if (descriptor_ >= 0) service.children.note(slot_, descriptor_);
  }
  if (descriptor_ < 0 && errno == ESRCH) {
    descriptor_ = above_standard_streams(::eventfd(1, EFD_CLOEXEC));
  }
  if (descriptor_ < 0) {
    const int error = errno;
    ::kill(process, SIGKILL);
    reap(P_PID, process);
    service.children.free_slot(slot_);
    // The child may have answered the request already, so the request ends here.
    RequestAccess::release(request)->end(Outcome::failed);
    throw_system_error(error, "pidfd_open");
  }
  // From here on, the child receives. The parent keeps the descriptor, for a polite close.
  if (connection.in_lot.registered) service.lot.leave(connection);
  connection.leave_requests_to_child();
  tie_ = std::move(tie);
  tie_->connection = RequestAccess::release(request);
  tie_->process = process;
  service.children.follow(slot_, tie_);
}

Child::Child(Child&& other) noexcept { *this = std::move(other); }

Child& Child::operator=(Child&& other) noexcept {
  std::swap(tie_, other.tie_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(slot_, other.slot_);
  return *this;
}

Child::~Child() {
  if (!tie_) return;
  signal_child(descriptor_, SIGKILL);
  collect();
}

void Child::collect() noexcept {
  Expects(tie_);
  Connection* connection = nullptr;
  {
    // The server may have ended its connection already, and may have been destroyed.
    const std::lock_guard lock(tie_->mutex);
    connection = std::exchange(tie_->connection, nullptr);
    if (connection != nullptr) connection->service().children.forget(slot_);
  }
  tie_.reset();
  reap(P_PIDFD, descriptor_);
  ::close(std::exchange(descriptor_, -1));
  if (connection == nullptr) return;
  Service& service = connection->service();
  const Told told = service.children.take_told(slot_, *connection);
  service.children.free_slot(slot_);
  if (told.said_last_word()) connection->note_last_word();
  connection->end(told.outcome() != Outcome::none ? told.outcome() : Outcome::failed);
}

}  // namespace net
