#include <arpa/inet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "support/fails_with.hpp"

import net.socket;

using boost::unit_test::precondition;
using boost::unit_test::timeout;
using net::Address;
using net::Family;
using net::Socket;
using net::SocketType;
using namespace std::chrono_literals;

namespace {

constexpr std::uint16_t experimental = 0x88B5;  // an EtherType for experiments: IEEE 802

constexpr std::array hardware{std::byte{2}, std::byte{0}, std::byte{0xfe},
                              std::byte{3}, std::byte{4}, std::byte{5}};

boost::test_tools::assertion_result may_open_packet_sockets(boost::unit_test::test_unit_id) {
  boost::test_tools::assertion_result result(true);
  try {
    Socket(Family::packet, SocketType::datagram, experimental);
  } catch (const std::system_error& error) {
    result = false;
    result.message() << error.what();
  }
  return result;
}

// Moves this thread into a network of its own, in which only a loopback is up. If that is not
// permitted, stays in the present one, where the loopback is up too.
void leave_the_network() {
  if (::unshare(CLONE_NEWNET) != 0) return;
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
  const Socket socket(Family::ipv4, SocketType::datagram);
  BOOST_REQUIRE(::ioctl(socket.fileno(), SIOCSIFFLAGS, &request) == 0);
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_packet_address_keeps_its_parts, *timeout(10)) {
  const auto address = Address::packet("lo", experimental, hardware);
  BOOST_TEST((address.family() == Family::packet));
  BOOST_TEST(address.interface_name() == "lo");
  BOOST_TEST(address.protocol() == experimental);
  BOOST_TEST((std::ranges::equal(address.hardware_address(), hardware)));
  BOOST_TEST(address.to_string() == "packet:lo/0x88b5");
  BOOST_TEST(address.host() == "");
  BOOST_TEST(address.port() == 0);
  BOOST_TEST(address == Address::packet("lo", experimental, hardware));
  BOOST_TEST(address != Address::packet("lo", experimental));
  BOOST_TEST(address != Address::packet("lo", 0x88B6, hardware));
  BOOST_TEST(address != Address::packet("", experimental, hardware));
}

BOOST_AUTO_TEST_CASE(a_packet_address_is_a_sockaddr_ll, *timeout(10)) {
  const auto address = Address::packet("lo", experimental, hardware);
  sockaddr_ll native{};
  BOOST_REQUIRE(address.native().size() == sizeof native);
  std::memcpy(&native, address.native().data(), sizeof native);
  BOOST_TEST(native.sll_family == AF_PACKET);
  BOOST_TEST(native.sll_protocol == htons(experimental));
  BOOST_TEST(native.sll_ifindex == static_cast<int>(::if_nametoindex("lo")));
  BOOST_TEST(native.sll_halen == 6);
  BOOST_TEST(Address::from_native(address.native()) == address);
  // The size that the kernel returns.
  BOOST_TEST(Address::from_native(address.native().first(18)) == address);
}

BOOST_AUTO_TEST_CASE(a_long_hardware_address_has_room, *timeout(10)) {
  const std::vector<std::byte> infiniband(20, std::byte{7});
  const auto address = Address::packet("lo", experimental, infiniband);
  BOOST_TEST((std::ranges::equal(address.hardware_address(), infiniband)));
  BOOST_TEST(Address::from_native(address.native()) == address);
  const std::vector<std::byte> longest(32, std::byte{7});
  BOOST_TEST((std::ranges::equal(Address::packet("", 0, longest).hardware_address(), longest)));
  BOOST_TEST(fails_with(std::errc::invalid_argument,
                        [] { Address::packet("lo", 0, std::vector<std::byte>(33)); }));
}

BOOST_AUTO_TEST_CASE(no_interface_is_every_interface, *timeout(10)) {
  const auto address = Address::packet("", 3);
  BOOST_TEST(address.interface_name() == "");
  BOOST_TEST(address.hardware_address().empty());
  BOOST_TEST(address.to_string() == "packet:*/0x0003");
}

BOOST_AUTO_TEST_CASE(an_interface_must_be_there, *timeout(10)) {
  using std::string_view_literals::operator""sv;
  for (const auto name : {"no-such-if"sv, "a-name-that-no-interface-can-have"sv, "lo\0"sv}) {
    BOOST_TEST(fails_with(std::errc::no_such_device, [&] { Address::packet(name, 1); }));
  }
  BOOST_TEST(text_of_failure([] { Address::packet("no-such-if", 1); }).find("no-such-if") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_interface_that_is_gone_is_a_number, *timeout(10)) {
  sockaddr_ll native{};
  native.sll_family = AF_PACKET;
  native.sll_ifindex = 2'000'000'000;
  const auto address = Address::from_native(std::as_bytes(std::span(&native, 1)));
  BOOST_TEST(address.interface_name() == "2000000000");
}

BOOST_AUTO_TEST_CASE(a_packet_address_of_a_wrong_size_is_invalid, *timeout(10)) {
  sockaddr_ll native{};
  native.sll_family = AF_PACKET;
  native.sll_halen = 8;
  const auto bytes = std::as_bytes(std::span(&native, 1));
  BOOST_CHECK_NO_THROW(Address::from_native(bytes));
  for (const std::size_t size : {2U, 11U, 19U}) {
    BOOST_TEST(
        fails_with(std::errc::invalid_argument, [&] { Address::from_native(bytes.first(size)); }));
  }
  std::array<std::byte, 45> long_one{};
  std::memcpy(long_one.data(), &native, sizeof native);
  BOOST_TEST(fails_with(std::errc::invalid_argument, [&] { Address::from_native(long_one); }));
}

BOOST_AUTO_TEST_CASE(other_families_have_no_interface, *timeout(10)) {
  const Address address("127.0.0.1", 80);
  BOOST_TEST(address.interface_name() == "");
  BOOST_TEST(address.protocol() == 0);
  BOOST_TEST(address.hardware_address().empty());
}

BOOST_AUTO_TEST_CASE(frames_pass_between_packet_sockets,
                     *timeout(10) * precondition(may_open_packet_sockets)) {
  leave_the_network();
  const auto on_loopback = Address::packet("lo", experimental);
  Socket receiver(Family::packet, SocketType::datagram, experimental);
  BOOST_TEST((receiver.family() == Family::packet));
  receiver.settimeout(5s);
  receiver.bind(on_loopback);
  BOOST_TEST(receiver.getsockname().interface_name() == "lo");
  BOOST_TEST(receiver.getsockname().protocol() == experimental);

  Socket sender(Family::packet, SocketType::datagram, 0);
  const std::array<std::byte, 6> nobody{};
  const auto frame = net::bytes("a frame");
  BOOST_TEST(sender.sendto(frame, Address::packet("lo", experimental, nobody)) == frame.size());
  std::array<std::byte, 100> into{};
  const auto [count, from] = receiver.recvfrom(into);
  BOOST_TEST(text_of(std::span(into).first(count)) == "a frame");
  BOOST_TEST((from.family() == Family::packet));
  BOOST_TEST(from.interface_name() == "lo");
  BOOST_TEST(from.protocol() == experimental);
  BOOST_TEST((std::ranges::equal(from.hardware_address(), nobody)));
}

BOOST_AUTO_TEST_CASE(a_frame_is_received_as_a_message,
                     *timeout(10) * precondition(may_open_packet_sockets)) {
  leave_the_network();
  Socket receiver(Family::packet, SocketType::datagram, experimental);
  receiver.settimeout(5s);
  receiver.bind(Address::packet("lo", experimental));
  Socket sender(Family::packet, SocketType::datagram, 0);
  const std::array<std::byte, 6> nobody{};
  std::array<std::byte, 4> into{};
  net::Ancillary ancillary(100);
  for (net::Ancillary* const beside : {static_cast<net::Ancillary*>(nullptr), &ancillary}) {
    sender.sendto(net::bytes("a frame"), Address::packet("lo", experimental, nobody));
    const auto received = net::recvmsg(receiver, std::array<std::span<std::byte>, 1>{into}, beside);
    BOOST_TEST(received.truncated);
    BOOST_TEST(received.whole_size == 7U);
    BOOST_TEST(received.address.interface_name() == "lo");
  }
}

BOOST_AUTO_TEST_CASE(a_raw_packet_socket_has_the_header_too,
                     *timeout(10) * precondition(may_open_packet_sockets)) {
  leave_the_network();
  Socket receiver(Family::packet, SocketType::raw, experimental);
  BOOST_TEST((receiver.type() == SocketType::raw));
  receiver.settimeout(5s);
  Socket sender(Family::packet, SocketType::raw);
  std::vector<std::byte> frame(14);
  frame[12] = std::byte{0x88};
  frame[13] = std::byte{0xb5};
  std::ranges::copy(net::bytes("payload"), std::back_inserter(frame));
  sender.sendto(frame, Address::packet("lo", experimental));
  std::array<std::byte, 100> into{};
  const auto [count, from] = receiver.recvfrom(into);
  BOOST_TEST((std::ranges::equal(std::span(into).first(count), frame)));
}
