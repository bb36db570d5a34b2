/// \file
/// `net.server:child`: a request in a process of its own.
export module net.server:child;

import net.standard;
import net.handler;
import :hooks;
import :request;

export namespace net {

/// A child process that serves one connection to its end. `ForkPerRequest` uses it, and your own
/// policy may.
///
/// The child closes the listeners and all other connections, including those that another thread is
/// opening or closing at that moment. It inherits descriptors that belong to the program, such as a
/// socket that a handler has moved elsewhere. It runs the request, and ends by `_exit`: no
/// destructor and no atexit function of the parent runs twice. When the child ends, it flushes what
/// it has printed to stdout and stderr by stdio, but not what its parent had buffered. Flush other
/// files, and std::cout after `sync_with_stdio(false)`, yourself.
///
/// The child has the signal mask of the forking thread, but never blocks SIGTERM. SIGINT does
/// nothing, because a terminal sends it to all processes and draining is the parent's decision.
/// After SIGTERM, the child answers the current request and ends; a second SIGTERM ends it at once.
/// The child also ends at once when the parent ends for any reason: the kernel then sends SIGTERM
/// too (PR_SET_PDEATHSIG(2const)). Programs that the handler starts get the default action of both
/// signals. Only async-signal-safe functions are safe in the child if the host has other threads:
/// fork(2).
///
/// If a handler closes its socket or moves it to another owner, the parent closes its copy as well.
/// So the client sees the end of the connection although the child goes on.
///
/// The parent's `Stats` include what the child counts. The program needs no SIGCHLD handler and may
/// ignore SIGCHLD. The library waits for no other children of the program.
class Child {
 public:
  Child() noexcept = default;

  /// Forks. In the child, this does not return, and the hooks, if any, are called there. Throws
  /// `resource_unavailable_try_again` or `not_enough_memory` if the fork fails, and
  /// `too_many_files_open` if there is no descriptor for the child. In these cases `request` is
  /// unchanged, or, if the child ran but could not be waited for, ended and empty. A request that
  /// was cut meanwhile, or has waited for too long, is ended without a child, and `fileno` is -1.
  explicit Child(Request& request, WorkerHooks* hooks = nullptr);

  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  /// Kills the child if it has not been collected, and collects it.
  ~Child();

  /// Returns a descriptor that is readable when the child has ended. pidfd_open(2).
  int fileno() const noexcept { return descriptor_; }

  /// Reads the result of the child, removes it from the process table, and closes its connection
  /// politely. Precondition: the child has ended.
  void collect() noexcept;

 private:
  struct Tie;
  friend class ChildTable;

  std::shared_ptr<Tie> tie_;  // to the connection, until that has ended
  int descriptor_ = -1;
  std::size_t slot_ = 0;
};

}  // namespace net
