/// \file
/// `net.server:inline_policy`: no concurrency.
export module net.server:inline_policy;

import net.socket;
import :options;
import :policy;
import :request;

export namespace net {

/// Runs each request in the serving thread, one at a time. A connection between two requests is
/// parked, so many clients can be connected. A conversation keeps all other clients waiting until
/// it ends. Python: a server without a mix-in.
class Inline {
 public:
  /// The settings of this policy: none.
  struct Options {};

  /// Takes the same arguments as every policy, and ignores them.
  Inline(Options, PolicyContext&) noexcept {}

  /// See `ExecutionPolicy`.
  void process(Request request);
  DrainReport drain(Deadline deadline);
};

}  // namespace net
