/// \file
/// `net.server:child`: a request in a process of its own.
export module net.server:child;

import net.standard;
import net.handler;
import :hooks;
import :request;

export namespace net {

/// A child process that serves one connection to its end. What `ForkPerRequest` is made of, and
/// what a policy of yours may use.
///
/// The child closes the listeners and the connections of others, also those that another thread is
/// opening or closing at that moment. What belongs to the program, such as a socket that a handler
/// has moved elsewhere, it inherits. It runs the request, and ends by `_exit`: no destructor and no
/// atexit function of the parent runs twice. What the child prints to stdout and stderr by stdio is
/// flushed when it ends; what the parent has buffered is left to the parent. Flush other files, and
/// std::cout after `sync_with_stdio(false)`, yourself.
///
/// The child has the signal mask of the forking thread, in which SIGTERM is never blocked. SIGINT
/// does nothing, because a terminal sends it to all processes and draining is the parent's
/// decision. SIGTERM has the child answer the request at hand and end; a second one ends it at
/// once. So does the end of the parent, however it comes (PR_SET_PDEATHSIG(2const), a SIGTERM as
/// well). Programs that the handler starts get the default action of both. Only async-signal-safe
/// functions are safe in the child if the host has other threads: fork(2).
///
/// A handler that closes its socket, or gives it to another owner, does so for the parent as well,
/// so the client sees the end although the child goes on.
///
/// What the child counts reaches the parent's `Stats`. No SIGCHLD handler is needed, no other child
/// is ever waited for, and a host that ignores SIGCHLD is allowed.
class Child {
 public:
  Child() noexcept = default;

  /// Forks. In the child, this does not return; the hooks, if there are any, are called there.
  /// Throws `resource_unavailable_try_again` or `not_enough_memory` if there is no child; `request`
  /// is untouched then, or (if the child ran, but could not be waited for) ended and empty. One
  /// that was cut meanwhile is ended: there is no child then, and `fileno` is -1.
  explicit Child(Request& request, WorkerHooks* hooks = nullptr);

  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  /// Kills a child that has not been collected, and collects it.
  ~Child();

  /// Returns a descriptor that is readable when the child has ended. pidfd_open(2).
  int fileno() const noexcept { return descriptor_; }

  /// Takes the ended child's result over, frees its entry in the process table, and closes its
  /// connection politely. Precondition: it has ended.
  void collect() noexcept;

 private:
  struct Tie;
  friend class ChildTable;

  std::shared_ptr<Tie> tie_;  // to the connection, until that has ended
  int descriptor_ = -1;
  std::size_t slot_ = 0;
};

}  // namespace net
