/// \file
/// `net.server:thread_per_request`: a thread for each request.
export module net.server:thread_per_request;

import net.standard;
import net.socket;
import :options;
import :policy;
import :request;

export namespace net {

/// Runs each request in a thread made for it; a conversation keeps its thread to its end. Between
/// requests a connection is parked and has none. Python: `ThreadingMixIn`, whose threads are as
/// many as there are clients.
///
/// At `max_threads`, or if the system has no more, `overload` decides: requests wait in order for a
/// thread to end, are rejected, or the conversation that is silent for longest is asked to end. The
/// threads block all signals.
class ThreadPerRequest {
 public:
  struct Options {
    std::size_t max_threads = 256;  ///< 1 or more
    Overload overload = Overload::wait;
  };

  /// Throws `invalid_argument` for options out of bounds.
  ThreadPerRequest(Options options, PolicyContext& context);
  ThreadPerRequest(const ThreadPerRequest&) = delete;
  ThreadPerRequest& operator=(const ThreadPerRequest&) = delete;
  /// Waits for what is running.
  ~ThreadPerRequest();

  /// Throws `resource_unavailable_try_again` if the system has no thread and none is running that
  /// could take the request later.
  void process(Request request);
  DrainReport drain(Deadline deadline);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace net
