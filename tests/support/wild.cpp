#include "wild.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>

namespace support {
namespace {

using namespace std::chrono_literals;

// The byte that a client sends at a position. It depends on the position; lines are short.
char letter(std::uint64_t client, std::uint64_t place) {
  if (place % 97 == 96) return '\n';
  return static_cast<char>('a' + ((place + client * 7919) * 2654435761U >> 11) % 26);
}

// A connection whose behaviour changes at random.
class WildConnection final : public Wild {
 public:
  WildConnection(const Line& server, std::uint64_t number, Random& random)
      : Wild(server, number, random) {}

  pollfd interest() const noexcept override {
    const int events = (talks_ && !ended_ ? POLLOUT : 0) | (listens_ ? POLLIN : 0);
    return {client_ ? client_->fileno() : -1, static_cast<short>(events), 0};
  }

  void go_on(short ready, Clock::time_point now) override {
    if (!client_) {
      connect(now);
      return;
    }
    if ((ready & POLLOUT) != 0 && !talk()) return leave();
    // poll also reports errors and ends that were not asked for. A deaf client ignores them.
    if ((ready & POLLIN) != 0 && !listen()) return leave();
    if (now >= mood_until_) change_mood(now);
  }

 private:
  void connect(Clock::time_point now) {
    try {
      client_ = std::make_unique<Client>(server());
    } catch (const std::system_error&) {
      return;  // tries again: connections that were closed may still fill the kernel's queue
    }
    sent_ = received_ = 0;
    ended_ = false;
    if (below(4) == 0) {
      const int small = 4096;
      ::setsockopt(client_->fileno(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    change_mood(now);
  }

  void change_mood(Clock::time_point now) {
    mood_until_ = now + milliseconds_below(300);
    talks_ = listens_ = true;
    switch (below(16)) {
      case 0: return reset();
      case 1: return leave();
      case 2:
        ended_ = true;
        ::shutdown(client_->fileno(), SHUT_WR);
        break;
      case 3:
      case 4: listens_ = false; break;
      case 5:
      case 6: talks_ = false; break;
      case 7:
        talks_ = listens_ = false;
        mood_until_ += milliseconds_below(2000);
        break;
      default: break;
    }
  }

  // Returns false if the connection has ended.
  bool talk() {
    std::array<char, 16384> block;  // filled next
    const std::size_t size = below(3) == 0 ? 1 + below(block.size()) : 1 + below(200);
    for (std::size_t i = 0; i < size; ++i) block.at(i) = letter(number(), sent_ + i);
    const auto count = ::send(client_->fileno(), block.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) return errno == EAGAIN;
    sent_ += static_cast<std::uint64_t>(count);
    return true;
  }

  bool listen() {
    std::array<char, 16384> block;  // recv fills it
    const std::size_t room = 1 + below(block.size());
    const auto count = ::recv(client_->fileno(), block.data(), room, MSG_DONTWAIT);
    if (count <= 0) return count < 0 && errno == EAGAIN;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      if (received_ == sent_ || block.at(i) != letter(number(), received_)) set_wrong();
      ++received_;
    }
    return true;
  }

  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(client_->fileno(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    leave();
  }

  void leave() { client_.reset(); }

  std::unique_ptr<Client> client_;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  Clock::time_point mood_until_;
  bool talks_ = true;
  bool listens_ = true;
  bool ended_ = false;
};

// A datagram client. Each datagram contains its sender's number and its own, as an answer may reach
// a later client that has got the same name.
class WildDatagrams final : public Wild {
 public:
  WildDatagrams(const Line& server, std::uint64_t number, Random& random)
      : Wild(server, number, random) {}

  pollfd interest() const noexcept override {
    return {client_ ? client_->fileno() : -1, static_cast<short>(listens_ ? POLLIN : 0), 0};
  }

  void go_on(short ready, Clock::time_point now) override {
    if (!client_) client_.emplace(server());
    if ((ready & POLLIN) != 0) listen();
    if (now < next_) return;
    next_ = now + milliseconds_below(400);
    listens_ = true;
    switch (below(16)) {
      case 0:  // ends before the answer arrives
        send_some(40, 2000);
        client_.reset();
        break;
      case 1: client_.reset(); break;
      case 2:
      case 3: listens_ = false; break;
      case 4:
        for (auto count = below(8); count > 0; --count) client_->try_send({});
        break;
      case 5: send_some(40, most); break;
      case 6: client_->try_send(std::string(2 * most, 'x')); break;
      case 7: next_ += milliseconds_below(2000); break;
      default: send_some(40, 2000); break;
    }
  }

 private:
  static constexpr std::size_t most = 65507;  // the maximum of UDP over IPv4

  static std::string text(std::uint64_t number, std::uint64_t place, std::size_t size) {
    std::string all =
        std::to_string(number) + ' ' + std::to_string(place) + ' ' + std::to_string(size) + ' ';
    while (all.size() < size) all += letter(number + place, all.size());
    return all;
  }

  void send_some(std::size_t least, std::size_t size) {
    const auto count = size > 2000 ? 1 : 1 + below(5);
    for (std::uint64_t i = 0; i < count; ++i) {
      client_->try_send(text(number(), ++sent_, least + below(size - least + 1)));
    }
  }

  void listen() {
    const auto answer = client_->receive(0ms);
    if (!answer || answer->empty()) return;
    if (answer->front() == 'x') {
      if (*answer != std::string(2 * most, 'x')) set_wrong();
      return;
    }
    std::istringstream words(*answer);
    std::uint64_t number = 0;
    std::uint64_t place = 0;
    std::size_t size = 0;
    words >> number >> place >> size;
    if (size != answer->size() || *answer != text(number, place, size)) set_wrong();
  }

  std::optional<DatagramClient> client_;
  Clock::time_point next_;
  std::uint64_t sent_ = 0;
  bool listens_ = true;
};

}  // namespace

Wild::~Wild() = default;

std::unique_ptr<Wild> Wild::client(const Line& server, std::uint64_t number, Random& random) {
  if (server.stream()) return std::make_unique<WildConnection>(server, number, random);
  return std::make_unique<WildDatagrams>(server, number, random);
}

}  // namespace support
