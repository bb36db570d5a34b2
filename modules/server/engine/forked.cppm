/// \file
/// `net.server:forked`, internal: which process this is, and the descriptors that a forked child
/// closes.
module net.server:forked;

import net.standard;

namespace net {

// Identifies a process among its ancestors: its value in a forked process differs from that in each
// ancestor. Reading it costs one load, unlike getpid(2).
using Process = unsigned;
Process this_process() noexcept;

// Makes the library notice forks from now on. Throws if the system refuses.
void notice_forks();

// Returns how often this process has forked, not counting `fork_for_request`. Each of these
// children may be about to serve a server of this process.
unsigned forks_by_host() noexcept;

// Forks a child that serves one connection but no server.
int fork_for_request() noexcept;

// The descriptors of the library that such a child must close, as POSIX.1-2024 does by FD_CLOFORK.
// Linux has no such flag, and to close thousands of connections one by one takes milliseconds. So
// the numbers are kept in a bitmap, and each run of them is closed by one call. From any thread.
class OwnDescriptors {
 public:
  // Lists a descriptor. Throws std::bad_alloc. If another thread may fork, this call and the call
  // that opens the descriptor must be made together under a lock of ForkScope.
  static void add(int descriptor);
  // To be called before the descriptor is given away. A descriptor that was not added is ignored.
  static void remove(int descriptor) noexcept;
  // Returns how many descriptors are listed.
  static std::size_t count() noexcept;
  // To be called before a socket is closed. Ends the socket, leaves a duplicate of `substitute` in
  // its place, and unlists it. So a fork meets either the listed socket or the harmless substitute;
  // a child that is forked between `remove` and close(2) would keep the socket. Without a
  // substitute, as in a child, or if no forks are expected, it only removes.
  static void replace(int descriptor, int substitute) noexcept;
  // To be called before any thread may use `fork_for_request`. A program without such forks saves
  // the 0.6 us that a duplicate costs.
  static void expect_forks() noexcept;
  // In the child: closes all descriptors but one.
  static void close_all_but(int kept) noexcept;
  // Whether `close_all_but` has closed the descriptors that were opened in that process.
  static bool closed_here(Process opened_in) noexcept;
};

// Guards the first use of a server or a policy in a process. It is unlocked in a child, whatever
// other threads of the parent did.
std::mutex& first_use() noexcept;

// Guards the descriptors that policies watch. Held during a fork.
std::mutex& watches_mutex() noexcept;

// Keeps an object of another process alive forever. It cannot be destroyed here: its threads are
// missing in this process, and only its own process may send anything to its clients. A leak
// checker does not report it.
void keep_for_ever(const void* object) noexcept;

}  // namespace net
