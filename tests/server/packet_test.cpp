// Servers of frames, on a cable between two interfaces in a network of the test's own.

#include <linux/capability.h>

#include <algorithm>
#include <string>
#include <system_error>

#include "support/own_network.hpp"
#include "support/server_test.hpp"

namespace {

using boost::unit_test::precondition;
using support::OwnNetwork;

constexpr std::uint16_t for_experiments = 0x88B5;  // an EtherType of IEEE 802

std::span<const std::byte> left() { return std::as_bytes(std::span(OwnNetwork::left_address)); }

net::Address served() { return net::Address::packet(OwnNetwork::left, for_experiments); }

// The station at the other end of the cable. The kernel makes the headers of its frames.
class Neighbour {
 public:
  Neighbour() {
    socket.bind(net::Address::packet(OwnNetwork::right, for_experiments));
    socket.settimeout(10s);
  }
  void send(std::string_view text) {
    socket.sendto(net::bytes(text),
                  net::Address::packet(OwnNetwork::right, for_experiments, left()));
  }
  std::string receive() {
    std::string text(2000, '\0');
    const auto [size, sender] = socket.recvfrom(std::as_writable_bytes(std::span(text)));
    BOOST_TEST(std::ranges::equal(sender.hardware_address(), left()));
    text.resize(size);
    return text;
  }
  std::string ask(std::string_view text) {
    send(text);
    return receive();
  }

  net::Socket socket{net::Family::packet, net::SocketType::datagram, for_experiments};
};

// Answers with the whole frame. Its header begins with the destination and the source, which are
// swapped.
struct EchoFrame : net::DatagramRequestHandler {
  void handle() {
    std::vector<std::byte> frame(packet().begin(), packet().end());
    std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
    reply(frame);
  }
};

// Answers with the sender's address, and how much of the frame arrived.
struct Describe : net::DatagramRequestHandler {
  void handle() {
    wfile.write(client_address().to_string() + " " + std::to_string(packet().size()) + " of " +
                std::to_string(datagram().whole_size()));
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_packet, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20) * precondition(OwnNetwork::may_be_made))
BOOST_AUTO_TEST_CASE_TEMPLATE(the_payload_of_a_frame_is_echoed, Policy, Policies) {
  const OwnNetwork network;
  net::PacketServer<EchoDatagram, Policy> server{served(), quick()};
  BOOST_TEST(server.server_address().to_string() == "packet:left/0x88b5");
  Running running(server);
  Neighbour neighbour;
  for (const std::string text : {"hello", "again", "a third time"}) {
    BOOST_TEST(neighbour.ask(text) == text);
  }
  running.stop();
  // The server did not receive the frames that it sent itself.
  BOOST_TEST(server.stats().accepted == 3U);
  BOOST_TEST(server.stats().served == 3U);
  BOOST_TEST(server.stats().replies == 3U);
}

BOOST_TEST_DECORATOR(*timeout(20) * precondition(OwnNetwork::may_be_made))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_whole_frame_is_echoed, Policy, Policies) {
  const OwnNetwork network;
  auto options = quick();
  options.link_header = true;
  net::PacketServer<EchoFrame, Policy> server{served(), options};
  Running running(server);
  Neighbour neighbour;
  for (const std::string text : {"hello", "again"}) BOOST_TEST(neighbour.ask(text) == text);
  running.stop();
  BOOST_TEST(server.stats().accepted == 2U);
  BOOST_TEST(server.stats().served == 2U);
}

BOOST_AUTO_TEST_CASE(a_handler_knows_who_asked_and_how_much,
                     *timeout(20) * precondition(OwnNetwork::may_be_made)) {
  const OwnNetwork network;
  auto options = quick();
  options.max_packet_size = 100;
  net::PacketServer<Describe> server{served(), options};
  Running running(server);
  Neighbour neighbour;
  BOOST_TEST(neighbour.ask("hello") == "packet:left/0x88b5 5 of 5");
  BOOST_TEST(neighbour.ask(std::string(1000, 'x')) == "packet:left/0x88b5 100 of 1000");
}

BOOST_AUTO_TEST_CASE(frames_of_other_protocols_and_interfaces_are_not_served,
                     *timeout(20) * precondition(OwnNetwork::may_be_made)) {
  const OwnNetwork network;
  net::PacketServer<EchoDatagram> server{served(), quick()};
  Running running(server);
  // One frame of another protocol, and one that arrives at an interface that no server serves.
  net::Socket other(net::Family::packet, net::SocketType::datagram, 0x88B6);
  other.sendto(net::bytes("other"), net::Address::packet(OwnNetwork::right, 0x88B6, left()));
  other.sendto(net::bytes("outward"),
               net::Address::packet(OwnNetwork::left, for_experiments,
                                    std::as_bytes(std::span(OwnNetwork::right_address))));
  Neighbour neighbour;
  BOOST_TEST(neighbour.ask("mine") == "mine");
  running.stop();
  BOOST_TEST(server.stats().accepted == 1U);
}

BOOST_AUTO_TEST_CASE(nothing_is_heard_before_the_bind,
                     *timeout(20) * precondition(OwnNetwork::may_be_made)) {
  struct Late : net::ServerHooks {
    void server_bind(net::Socket& listener, const net::Address& address) override {
      Neighbour().send("early");
      net::ServerHooks::server_bind(listener, address);
    }
  } hooks;
  const OwnNetwork network;
  net::PacketServer<EchoDatagram> server{served(), quick(), hooks};
  Running running(server);
  BOOST_TEST(Neighbour().ask("in time") == "in time");
  running.stop();
  BOOST_TEST(server.stats().accepted == 1U);
}

BOOST_AUTO_TEST_CASE(without_the_capability_the_error_says_so, *timeout(20)) {
  without_capability(CAP_NET_RAW, [] {
    using Server = net::PacketServer<EchoDatagram, net::Inline>;
    const auto address = net::Address::packet("lo", for_experiments);
    BOOST_CHECK_EXCEPTION(Server{address}, std::system_error, [](const auto& error) {
      BOOST_TEST(std::string(error.what())
                     .starts_with("socket for packet:lo/0x88b5, which needs CAP_NET_RAW: "));
      return error.code() == std::errc::operation_not_permitted;
    });
  });
}

BOOST_AUTO_TEST_SUITE_END()
