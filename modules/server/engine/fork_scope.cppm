/// \file
/// `net.server:fork_scope`, internal: what a fork locks, and what servers of a process give up for
/// each other.
module net.server:fork_scope;

import net.standard;
import :service;

namespace net {

// The servers of this process.
class ForkScope {
 public:
  static void add(Service& service);
  static void remove(const Service& service) noexcept;
  // Takes every lock that a child may need, so that none is left locked in it by a thread that it
  // does not have, and lists are whole.
  static void lock() noexcept;
  static void unlock() noexcept;
  // Closes the socket that lingers for longest, for want of descriptors, whichever server has it;
  // returns whether there was one.
  static bool close_oldest_lingering() noexcept;
  // In a child for a connection of that server: leaves it nothing else that its wild pointers could
  // change for another process.
  static void protect_shared_memory(const Service& own) noexcept;
};

}  // namespace net
