/// \file
/// `net.server:child`: a request in its own process.
export module net.server:child;

import net.standard;
import net.handler;
import :hooks;
import :request;

export namespace net {

/// A child process that serves one connection to its end. `ForkPerRequest` is built on it, and your
/// own policy may use it.
///
/// The child closes the listeners and the other connections, even those that another thread is
/// opening or closing at that moment. It inherits what belongs to the program, such as a socket
/// that a handler has moved elsewhere. It runs the request, and ends by `_exit`: no destructor and
/// no atexit function of the parent runs twice. What the child prints to stdout and stderr by stdio
/// is flushed when it ends; what the parent has buffered is left to the parent. Flush other files,
/// and std::cout after `sync_with_stdio(false)`, yourself.
///
/// The child has the signal mask of the forking thread, but never blocks SIGTERM. SIGINT does
/// nothing, because a terminal sends it to all processes and draining is the parent's decision. At
/// SIGTERM the child answers the current request and ends; a second SIGTERM ends it at once. The
/// child also ends at once when the parent ends in any way (PR_SET_PDEATHSIG(2const), which sends a
/// SIGTERM too). Programs that the handler starts get the default action of both signals. If the
/// host has other threads, only async-signal-safe functions are safe in the child: fork(2).
///
/// A handler that closes its socket, or gives it to another owner, also closes the connection for
/// the parent, so the client sees the end although the child goes on.
///
/// What the child counts is added to the parent's `Stats`. The host needs no SIGCHLD handler and
/// may ignore SIGCHLD; the library never waits for any other child.
class Child {
 public:
  Child() noexcept = default;

  /// Forks. In the child, this does not return; the hooks, if there are any, are called there.
  /// Throws `resource_unavailable_try_again` or `not_enough_memory` if there is no child. Then
  /// `request` is unchanged, or (if the child ran, but could not be waited for) ended and empty. A
  /// request that was cut meanwhile is ended without a child, and `fileno` is -1.
  explicit Child(Request& request, WorkerHooks* hooks = nullptr);

  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  /// Kills and collects the child, unless it was collected.
  ~Child();

  /// Returns a descriptor that is readable when the child has ended. pidfd_open(2).
  int fileno() const noexcept { return descriptor_; }

  /// Takes over the result of the ended child, frees its entry in the process table, and closes its
  /// connection politely. Precondition: the child has ended.
  void collect() noexcept;

 private:
  struct Tie;
  friend class ChildTable;

  std::shared_ptr<Tie> tie_;  // to the connection, until the connection has ended
  int descriptor_ = -1;
  std::size_t slot_ = 0;
};

}  // namespace net
