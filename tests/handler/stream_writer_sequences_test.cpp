// Sequences of calls at random: whatever is written arrives once, in order, and complete.

#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <random>
#include <span>
#include <string>

import net.handler;

using boost::unit_test::timeout;

namespace {

constexpr std::size_t most = 40'000;

// Bytes in which every place is different from its neighbourhood, so that a lost or repeated piece
// shows.
std::string some_text() {
  std::string text;
  for (unsigned number = 0; text.size() < 3 * most; ++number) text += std::to_string(number) + " ";
  return text;
}

struct Closing {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

// One sequence: what the calls wrote, and what arrived.
class Sequence {
 public:
  Sequence(unsigned seed, const std::string& text, int file)
      : random_(seed), text_(text), file_(file) {
    auto [here, there] = net::socket_pair();
    here.setsockopt(net::SocketOption::send_buffer, pick(1, 30'000));
    there.setsockopt(net::SocketOption::receive_buffer, 4096);
    stream_ = std::make_unique<net::BufferedStream>(std::move(here));
    arrived_ = std::async(std::launch::async, [seed, peer = std::move(there)]() mutable {
      return read_slowly(peer, seed);
    });
  }

  void run() {
    stream_->set_write_buffer(pick(0, 3) == 0 ? 0 : pick<std::size_t>(1, most));
    for (int left = pick(1, 40); left > 0; --left) {
      call();
      BOOST_TEST_REQUIRE(stream_->is_pending() == (stream_->pending() != 0));
    }
    stream_->set_hold(net::BufferedStream::Hold::none);
    stream_->flush();
    BOOST_TEST(!stream_->is_pending());
    BOOST_TEST(stream_->pending() == 0U);
    stream_->socket().close();
  }

  bool arrived_as_written() { return arrived_.get() == written_; }

 private:
  template <class T>
  T pick(T least, T greatest) {
    return std::uniform_int_distribution<T>(least, greatest)(random_);
  }

  static std::string read_slowly(net::Socket& peer, unsigned seed) {
    std::minstd_rand random(seed);
    std::string all;
    for (;;) {
      std::string piece(1 + random() % 9'000, '\0');
      const std::size_t size = peer.recv(std::as_writable_bytes(std::span(piece)));
      if (size == 0) return all;
      all.append(piece, 0, size);
      if (random() % 4 == 0) std::this_thread::yield();
    }
  }

  void call() {
    const auto begin = pick<std::size_t>(0, most);
    const std::size_t size =
        pick(0, 2) == 0 ? pick<std::size_t>(0, most) : pick<std::size_t>(0, 99);
    switch (pick(0, 9)) {
      case 0: stream_->flush(); break;
      case 1: stream_->flush_now(); break;
      case 2:
        stream_->send_file(file_, begin, size);
        written_.append(text_, begin, size);
        break;
      case 3: stream_->set_collected(pick(0, 1) == 0 ? 0 : size); break;
      case 4: stream_->set_hold(net::BufferedStream::Hold::all); break;
      case 5: stream_->set_hold(net::BufferedStream::Hold::none); break;
      case 6: pick(0, 1) == 0 ? stream_->keep_holding() : stream_->stop_holding(); break;
      default:
        stream_->write(net::bytes(std::string_view(text_).substr(begin, size)));
        written_.append(text_, begin, size);
    }
  }

  std::minstd_rand random_;
  const std::string& text_;
  int file_;
  std::unique_ptr<net::BufferedStream> stream_;
  std::string written_;
  std::future<std::string> arrived_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(whatever_is_written_arrives_once_and_in_order, *timeout(60)) {
  const std::string text = some_text();
  const std::unique_ptr<std::FILE, Closing> file(std::tmpfile());
  BOOST_TEST_REQUIRE(file);
  BOOST_TEST_REQUIRE(std::fwrite(text.data(), 1, text.size(), file.get()) == text.size());
  std::fflush(file.get());
  for (unsigned seed = 1; seed <= 1000; ++seed) {
    Sequence sequence(seed, text, ::fileno(file.get()));
    sequence.run();
    if (!sequence.arrived_as_written()) BOOST_ERROR("wrong bytes arrived with seed " << seed);
  }
}
