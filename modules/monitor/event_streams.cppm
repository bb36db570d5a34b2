/// \file
/// `net.monitor:event_streams`, internal: who is told once a second, and goes on listening.
module net.monitor:event_streams;

import net.standard;
import net.socket;

namespace net {

// Sends the same events to all streams, from a thread of its own, which sleeps while there are
// none. A client that does not take an event at once is closed. From any thread.
class EventStreams {
 public:
  static constexpr std::size_t most = 16;

  // `event` makes the text of the next one; it may be called until the destructor is over.
  explicit EventStreams(std::function<std::string()> event);
  EventStreams(const EventStreams&) = delete;
  EventStreams& operator=(const EventStreams&) = delete;
  ~EventStreams();

  // Whether there are as many as there may be.
  bool full() const;
  // Has the socket get events, the first one at once; closes it if there are enough.
  void add(Socket socket);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace net
