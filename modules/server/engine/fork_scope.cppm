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
  // Takes every lock of a server that a child may need. Otherwise a lock could stay locked in the
  // child by a thread that the child does not have, and a list could be inconsistent.
  static void lock() noexcept;
  static void unlock() noexcept;
  // Closes the socket that has lingered longest in any server, to free a descriptor. Returns
  // whether there was one.
  static bool close_oldest_lingering() noexcept;
  // Called in a child that serves a connection of `own`. Write-protects the shared memory that this
  // child need not change, so that a wild pointer in the child cannot corrupt it for another
  // process.
  static void protect_shared_memory(const Service& own) noexcept;
};

}  // namespace net
