/// \file
/// `net.monitor:event_streams`, internal: connections that receive an event once a second.
module net.monitor:event_streams;

import net.standard;
import net.socket;

namespace net {

// Sends the same events to all streams. Its own thread sends them, and sleeps while there are no
// streams. If a client does not take an event at once, its connection is closed. Thread safety: any
// thread may call the functions.
class EventStreams {
 public:
  static constexpr std::size_t most = 16;

  // `event` returns the text of the next event; it may be called until the destructor has returned.
  explicit EventStreams(std::function<std::string()> event);
  EventStreams(const EventStreams&) = delete;
  EventStreams& operator=(const EventStreams&) = delete;
  ~EventStreams();

  // Returns whether there are `most` streams.
  bool full() const;
  // Adds a stream, which gets its first event at once. Closes the socket instead if `full`.
  void add(Socket socket);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace net
