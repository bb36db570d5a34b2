/// \file
/// `net.server:forked`, internal: which process this is, and what a fork leaves open.
module net.server:forked;

import net.standard;

namespace net {

// Tells the processes of one line of descent apart: it differs in a forked process from what it was
// in each of its ancestors. A number that costs one load, unlike getpid(2).
using Process = unsigned;
Process this_process() noexcept;

// Has forks noted from now on. Throws if the system refuses.
void notice_forks();

// How often this process has forked, not counting `fork_for_request`: each of these children may be
// about to serve what this process has.
unsigned forks_by_host() noexcept;

// fork(2) for a child that serves one connection and no server.
int fork_for_request() noexcept;

// The descriptors of the library that such a child closes, as POSIX.1-2024 has FD_CLOFORK do.
// Linux has no such flag, and a call for each of thousands of connections takes milliseconds; so
// the numbers are kept in a bitmap, and each run of them is closed by one call. From any thread.
class OwnDescriptors {
 public:
  // Throws std::bad_alloc. Where another thread may fork, under a lock of ForkScope together with
  // the call that opens the descriptor.
  static void add(int descriptor);
  // To be called before the descriptor is given away. One that was not added is ignored.
  static void remove(int descriptor) noexcept;
  // How many there are.
  static std::size_t count() noexcept;
  // To be called before a socket is closed: ends it and leaves a duplicate of `substitute`, which
  // is not listed any more, in its place. A fork meets the socket as long as it is listed, or the
  // substitute; between `remove` and close(2), a child would keep the socket. Without a substitute,
  // as in a child, or if no forks are expected, it only removes.
  static void replace(int descriptor, int substitute) noexcept;
  // To be called before any thread may use `fork_for_request`. A program that never does saves the
  // 0.6 us that a duplicate costs.
  static void expect_forks() noexcept;
  // Closes all but one, in the child.
  static void close_all_but(int kept) noexcept;
  // Whether the descriptors that were opened in that process have been closed so in this one.
  static bool closed_here(Process opened_in) noexcept;
};

// Guards the first use of a server or a policy in a process. Unlocked in a child, whatever other
// threads did in its parent.
std::mutex& first_use() noexcept;

// Guards what policies watch. Held during a fork.
std::mutex& watches_mutex() noexcept;

// Objects of another process cannot be destroyed: their threads are missing here, and what they
// would tell their peers is not this process's to say. They stay, and are no leak.
void keep_for_ever(const void* object) noexcept;

}  // namespace net
