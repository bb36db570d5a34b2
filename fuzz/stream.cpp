// Compares StreamReader, on input that is cut at any position, with reads from a string.

#include <algorithm>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "fuzz.hpp"

import net.handler;

namespace {

// Less than the reader's first block: a packet that does not fit into the buffer would be
// truncated.
constexpr std::size_t most_packets = 60'000;

// All input so far, and how much of it was read.
struct Input {
  std::string all;
  std::size_t read = 0;
  std::string_view left() const { return std::string_view(all).substr(read); }
  std::string_view take(std::size_t count) {
    const auto taken = left().substr(0, count);
    read += taken.size();
    return taken;
  }
};

// Sends pieces. A receive then gets one packet or, of a stream, as many bytes as fit.
void send_pieces(FuzzedDataProvider& script, net::Socket& socket, Input& input) {
  const bool packets = socket.type() == net::SocketType::sequenced_packet;
  const auto times = script.ConsumeIntegralInRange<std::size_t>(1, packets ? 3 : 400);
  const auto pieces = script.ConsumeIntegralInRange<std::size_t>(0, 16);
  for (std::size_t i = 0; i < pieces; ++i) {
    const std::string text = script.ConsumeRandomLengthString(200);
    std::string piece;
    for (std::size_t n = 0; n < times; ++n) piece += text;
    if (piece.empty() || input.all.size() + piece.size() > most_packets * (packets ? 1 : 2)) break;
    socket.sendall(net::bytes(piece));
    input.all += piece;
  }
  socket.shutdown(net::ShutdownHow::write);
}

void read_until(FuzzedDataProvider& script, net::StreamReader& reader, Input& input) {
  const std::string end = script.ConsumeBool() ? "\n" : script.ConsumeBytesAsString(2) + "!";
  const auto limit = script.ConsumeIntegralInRange<std::size_t>(0, 40'000);
  const auto at = input.left().substr(0, limit).find(end);
  const bool too_long = at == std::string_view::npos && input.left().size() > limit;
  try {
    const auto got = end == "\n" ? reader.read_line(limit) : reader.read_until(end, limit);
    require(!too_long, "a line beyond the limit is refused");
    require(got.has_value() == !input.left().empty(), "nothing is read at the end alone");
    if (!got) return;
    const auto count = at == std::string_view::npos ? input.left().size() : at + end.size();
    require(*got == input.take(count), "a line");
  } catch (const std::system_error& error) {
    require(too_long && error.code() == std::errc::message_size, "only lines too long are refused");
  }
}

void read_exactly(FuzzedDataProvider& script, net::StreamReader& reader, Input& input) {
  const auto count = script.ConsumeIntegralInRange<std::size_t>(0, 130'000);
  const auto limit = script.ConsumeIntegralInRange<std::size_t>(0, 200'000);
  const bool into = script.ConsumeBool();
  const bool there = count <= input.left().size();
  try {
    if (into) {
      std::vector<std::byte> bytes(count);
      reader.read_exactly(bytes);
      require(std::ranges::equal(bytes, net::bytes(input.take(count))), "bytes that are filled");
    } else {
      require(reader.read_exactly(count, limit) == input.take(count), "a block");
      require(count <= limit, "a block beyond the limit is refused");
    }
    require(there, "a block that is not there is refused");
  } catch (const net::EndOfStream&) {
    require(!there, "a block that is there is read");
    if (into) input.take(count);  // the bytes before the end are consumed
  } catch (const std::system_error& error) {
    require(!into && count > limit && error.code() == std::errc::message_size, "a limit");
  }
}

void read_some(FuzzedDataProvider& script, net::StreamReader& reader, Input& input) {
  const auto limit = script.ConsumeIntegralInRange<std::size_t>(1, 70'000);
  const std::string_view got = reader.read_some(limit);
  require(got.size() <= limit && got.empty() == input.left().empty(), "some bytes");
  require(got == input.take(got.size()), "the next bytes");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider script(data, size);
  const bool packets = script.ConsumeBool();
  auto [ours, theirs] =
      net::socket_pair(packets ? net::SocketType::sequenced_packet : net::SocketType::stream);
  Input input;
  send_pieces(script, theirs, input);
  net::BufferedStream stream(std::move(ours));
  net::StreamReader reader(stream);
  while (script.remaining_bytes() > 0) {
    switch (script.ConsumeIntegralInRange(0, 3)) {
      case 0: read_until(script, reader, input); break;
      case 1: read_exactly(script, reader, input); break;
      case 2: read_some(script, reader, input); break;
      default:
        require(input.left().starts_with(reader.buffered()), "what is buffered is read next");
        if (!packets) stream.input().shrink();  // a packet might not fit into less memory
    }
  }
  return 0;
}
