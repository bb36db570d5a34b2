/// \file
/// `net.server:fork_scope`, internal: what a fork locks, and how the servers of a process share
/// descriptors.
module net.server:fork_scope;

import net.standard;
import :service;

namespace net {

// All servers of this process.
class ForkScope {
 public:
  static void add(Service& service);
  static void remove(const Service& service) noexcept;
  // Takes every lock that a child may need. So no lock stays locked in the child by a thread that
  // the child does not have, and all lists are whole there.
  static void lock() noexcept;
  static void unlock() noexcept;
  // Closes the socket that has lingered longest in any server, because descriptors are needed.
  // Returns whether there was one.
  static bool close_oldest_lingering() noexcept;
  // In a child for a connection of that server: makes the rest of the shared memory read-only, so
  // that a wild pointer in the child cannot change it for another process.
  static void protect_shared_memory(const Service& own) noexcept;
};

}  // namespace net
