/// \file
/// `net.server:inline_policy`: runs requests without concurrency.
module;

export module net.server:inline_policy;

import net.socket;
import :options;
import :policy;
import :request;

export namespace net {

/// Runs each request on the serving thread, one at a time. A connection is parked between two
/// requests, so many clients can be connected; but a conversation makes all others wait until it
/// ends. Python: a server without mix-in.
class Inline {
 public:
  /// The policy has no options.
  struct Options {};

  /// The constructor that each policy has; it ignores its arguments.
  Inline(Options, PolicyContext&) noexcept {}

  /// See `ExecutionPolicy`.
  void process(Request request);
  DrainReport drain(Deadline deadline);
};

}  // namespace net
