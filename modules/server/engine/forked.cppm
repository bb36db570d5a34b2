/// \file
/// `net.server:forked`, internal: which process this is, and the descriptors that a forked child
/// closes.
module net.server:forked;

import net.standard;

namespace net {

// A number that distinguishes a process from its ancestors: after a fork, the number of the child
// differs from those of all its ancestors. Reading it costs one load, unlike getpid(2).
using Process = unsigned;
Process this_process() noexcept;

// Registers the fork handlers of the library with pthread_atfork(3), once. Throws if that fails.
void notice_forks();

// Returns a count that grows with each fork of this process, except those of `fork_for_request`.
// The child of such a fork may be about to serve a server of this process.
unsigned forks_by_host() noexcept;

// Calls fork(2), for a child that serves one connection but no server.
int fork_for_request() noexcept;

// The descriptors of the library that a child of `fork_for_request` closes, as FD_CLOFORK of
// POSIX.1-2024 would. Linux has no such flag, and closing thousands of connections one by one takes
// milliseconds. So the numbers are kept in a bitmap, and each run of consecutive numbers is closed
// by one call of close_range(2). May be used from any thread.
class OwnDescriptors {
 public:
  // Lists a descriptor. Throws std::bad_alloc. If another thread may fork, hold a lock that each
  // fork takes, such as `Service::opening`, from before the descriptor is opened until this call
  // has returned.
  static void add(int descriptor);
  // Unlists a descriptor. Call this before the descriptor is given away. A descriptor that was not
  // added is ignored.
  static void remove(int descriptor) noexcept;
  // Returns how many descriptors are listed.
  static std::size_t count() noexcept;
  // Call this before closing a socket. Closes the socket by putting a duplicate of `substitute` at
  // its number, and unlists the number. So a fork finds either the listed socket or the harmless
  // substitute; otherwise a child that is forked between `remove` and close(2) would keep the
  // socket. Without a substitute, as in a child, or if no forks are expected, only unlists the
  // number.
  static void replace(int descriptor, int substitute) noexcept;
  // Call this before any thread may call `fork_for_request`. A program without such forks saves the
  // 0.6 us that each duplicate costs.
  static void expect_forks() noexcept;
  // In the child: closes all listed descriptors except `kept`.
  static void close_all_but(int kept) noexcept;
  // Returns whether, in this process, `close_all_but` has closed the descriptors that were opened
  // in the process `opened_in`.
  static bool closed_here(Process opened_in) noexcept;
};

// Guards the first use of a server or a policy in a process. A child starts with it unlocked, even
// if another thread of the parent held it.
std::mutex& first_use() noexcept;

// Guards the descriptors that policies watch. Held during each fork.
std::mutex& watches_mutex() noexcept;

// Keeps an object of another process alive forever, so that a leak checker does not report it. It
// cannot be destroyed here: its threads do not exist in this process, and only its own process may
// send anything to its clients.
void keep_for_ever(const void* object) noexcept;

}  // namespace net
