module;

#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :poller;
import :request_reader;

namespace net {
namespace {

constexpr std::size_t unknown = SIZE_MAX;

[[noreturn]] void throw_too_large(std::size_t most) {
  throw std::system_error(std::make_error_code(std::errc::message_size),
                          "a request of more than " + std::to_string(most) + " bytes");
}

}  // namespace

RequestReader::Kind RequestReader::kind_of(const HandlerMaker& maker, bool datagram) noexcept {
  if (datagram) return Kind::datagram;
  if (maker.conversation()) return Kind::conversation;
  if (!maker.reads_ahead()) return Kind::raw;
  return maker.request_size() != nullptr ? Kind::framed : Kind::unframed;
}

// --- reading ahead ----------------------------------------------------------------------------

// Handles the cases that `look` does not: requests with framing, input that is left over, and a
// stream that has ended or is drained.
[[gnu::noinline]] RequestReader::Found RequestReader::read_on() {
  const ByteBuffer& input = stream_.input();
  if (front_ != 0) return Found::whole;
  for (;;) {
    if (!input.empty() && !stalled_ && (kind_ == Kind::unframed || find_front())) {
      return Found::whole;
    }
    if (stalled_ && input.size() >= most_) throw_too_large(most_);
    if (stream_.ended()) {
      // Bytes before the end of the stream are the last request, even if it is not whole: the
      // handler decides whether to accept it.
      return input.empty() || stalled_ ? Found::end : Found::whole;
    }
    if (drained()) return Found::partial;
    switch (stream_.receive_now(SIZE_MAX)) {
      case BufferedStream::Arrival::bytes:
        note_input();
        stalled_ = false;
        break;
      case BufferedStream::Arrival::nothing: return Found::partial;
      case BufferedStream::Arrival::end: break;
    }
  }
}

// Returns whether the input begins with a whole request.
bool RequestReader::find_front() {
  const auto input = stream_.input().content();
  framing_ = true;
  const std::size_t size = maker_.request_size()(input);
  framing_ = false;
  if (size > most_ || (size == 0 && input.size() >= most_)) throw_too_large(most_);
  if (size == 0 || size > input.size()) return false;
  front_ = size;
  return true;
}

// Returns the size of the request at the front of `input`; 0 if it is not whole. An error in the
// request is reported when its turn comes.
std::size_t RequestReader::framed(std::span<const std::byte> input) const noexcept {
  if (input.empty() || stalled_) return 0;
  try {
    const std::size_t size = maker_.request_size()(input);
    return size <= std::min(input.size(), most_) ? size : 0;
  } catch (...) {
    return 0;
  }
}

[[gnu::noinline]] BufferedStream::Hold RequestReader::to_hold_framed() noexcept {
  if (stream_.input().size() <= front_) return BufferedStream::Hold::none;
  if (row_since_ == 0) row_since_ = coarse_now();
  if (front_ != 0) following_ = framed(stream_.input().content().subspan(front_));
  return following_ != 0 ? BufferedStream::Hold::all : BufferedStream::Hold::none;
}

// Called after a handler that had `before` bytes of input and left some. If the handler has
// received more, the sizes do not show whether it consumed any.
[[gnu::noinline]] void RequestReader::note_left_over(std::size_t before) noexcept {
  stalled_ = stream_.input().size() == before && !stream_.received();
  if (!stalled_) request_since_ = coarse_now();
}

// Frames each request only once, as long as handlers consume exactly their own request.
[[gnu::noinline]] void RequestReader::find_next(std::size_t before) noexcept {
  const auto left = stream_.input().content();
  const bool took_one = front_ != 0 && left.size() == before - front_ && !stream_.received();
  front_ = took_one ? following_ : framed(left);
}

std::optional<BadRequest> RequestReader::fault(const RequestError& error) const noexcept {
  if (framing_) return BadRequest::malformed;
  if (error.timed_out()) {
    return request_since_ != 0 ? std::optional(BadRequest::late) : std::nullopt;
  }
  if (error.too_large()) return BadRequest::too_large;
  return std::nullopt;
}

// --- a bare socket ----------------------------------------------------------------------------

[[gnu::noinline]] RequestReader::Found RequestReader::look_at_socket(bool begun) {
  if (looked_) return Found::whole;
  std::byte one{};
  ssize_t count = 0;
  do {
    count = ::recv(stream_.socket().fileno(), &one, 1, MSG_PEEK | MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno != EAGAIN) throw_system_error(errno, "receive");
  if (count < 0) return Found::partial;
  // For a client that leaves without sending anything, no handler and no child is made.
  if (count == 0 && !begun) return Found::end;
  if (count > 0 && stalled_) {
    const Found found = look_behind_the_rest();
    if (found != Found::whole) return found;
  }
  note_input();
  stalled_ = false;
  looked_ = true;
  sees_end_ = count == 0;
  return Found::whole;
}

// Bytes that a handler left unread are no new request. The function returns `whole` if new bytes
// have arrived after them. At the end of the stream it returns `end`, since the rest can no longer
// grow.
RequestReader::Found RequestReader::look_behind_the_rest() noexcept {
  // While the handler ran, it may have read as many bytes as came meanwhile.
  if (edge_.load() || unread() != unread_) return Found::whole;
  pollfd polled{stream_.socket().fileno(), POLLRDHUP, 0};
  return ::poll(&polled, 1, 0) > 0 ? Found::end : Found::partial;
}

bool RequestReader::has_come(bool begun, bool ended_here) {
  if (request_since_ == 0) return something_arrived();
  // An end that the server has made does not complete a partial request.
  return !ended_here && look(begun) == Found::whole;
}

bool RequestReader::something_arrived() noexcept {
  std::byte one{};
  return ::recv(stream_.socket().fileno(), &one, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

std::size_t RequestReader::unread() noexcept {
  int bytes = 0;
  ::ioctl(stream_.socket().fileno(), FIONREAD, &bytes);
  return static_cast<std::size_t>(bytes);
}

std::size_t RequestReader::before_raw_handler() noexcept {
  stream_.socket().forget_receives();
  stream_.forget_receives();
  read_ahead_ = stream_.input().size();
  take_edge();
  edge_.store(false);
  return asks_us_ && read_ahead_ == 0 ? unknown : unread();
}

// `before`: how many bytes were unread when the handler was called, or `unknown`. The handler may
// not have seen bytes that arrived since, so it is called once more for them.
[[gnu::noinline]] bool RequestReader::after_raw_handler(std::size_t before) noexcept {
  const auto received = stream_.socket().last_receive();
  const bool at_end = sees_end_ || received == Socket::Received::end;
  // A handler without a base may read the stream, and leave a further request there.
  const std::size_t in_stream = stream_.input().size();
  const bool has_read_stream = stream_.received() || in_stream != read_ahead_;
  looked_ = has_read_stream && in_stream != 0;
  if (take_edge()) edge_.store(true);
  // The handler may have read by other means than the library's socket calls.
  asks_us_ = received != Socket::Received::nothing_asked;
  unread_ = asks_us_ ? 0 : unread();
  stalled_ = unread_ > 0 && !has_read_stream && (before == unknown || unread_ == before);
  if (!stalled_) request_since_ = stream_.input().empty() ? 0 : coarse_now();
  return at_end;
}

void RequestReader::after_raw_more() noexcept {
  const bool asked = stream_.socket().last_receive() != Socket::Received::nothing_asked;
  if (!stalled_ || (!asked && unread() == unread_)) return;
  stalled_ = false;
  request_since_ = 0;
}

// The epoll is edge-triggered, so it reports the bytes that were left only once.
void RequestReader::watch_edges() noexcept {
  if (kind_ != Kind::raw) return;
  Descriptor epoll(above_standard_streams(::epoll_create1(EPOLL_CLOEXEC)));
  epoll_event event{.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data = {}};
  const bool watches = epoll.get() >= 0 && ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD,
                                                       stream_.socket().fileno(), &event) == 0;
  if (watches) edges_ = std::move(epoll);
}

// Returns whether there was an event since the last call.
bool RequestReader::take_edge() noexcept {
  epoll_event event{};
  return edges_.get() >= 0 && ::epoll_wait(edges_.get(), &event, 1, 0) > 0;
}

bool RequestReader::wait_for_new_bytes(Deadline limit) {
  if (edges_.get() < 0) watch_edges();
  if (edges_.get() < 0) throw_system_error(errno, "epoll");
  epoll_event event{};
  while (look_behind_the_rest() == Found::partial) {
    const bool came = !wait_for_events(edges_.get(), std::span(&event, 1), limit).empty();
    if (!came && limit.passed()) return false;
    if (came) edge_.store(true);
  }
  return true;
}

}  // namespace net
