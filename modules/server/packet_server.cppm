/// \file
/// `net.server:packet_server`: a server of the frames of a network device.
module;

export module net.server:packet_server;

import net.handler;
import :server_parts;
import :tcp_server;
import :thread_pool;

export namespace net {

/// Serves frames of one protocol on an interface, packet(7). Python has no such server.
///
///     net::PacketServer<Echo> server{net::Address::packet("eth0", 0x88B5)};
///
/// As `UdpServer`: a frame's payload is a datagram, its sender a hardware address, and a reply goes
/// back there, within the same protocol. With `ServerOptions::link_header` frames are whole, and a
/// reply begins with the header that the handler makes. What this host itself sends is not
/// received. Needs CAP_NET_RAW: without, it throws `std::errc::operation_not_permitted`.
template <class Handler, class Policy = ThreadPool>
class PacketServer : public ServerOf<Handler, Policy, ServerKind::packet> {
  static_assert(DatagramHandler<Handler>,
                "a handler of frames has a public `void handle()`: there is no next request of a "
                "frame; and it is no net::StreamRequestHandler");

 public:
  using ServerOf<Handler, Policy, ServerKind::packet>::ServerOf;
};

}  // namespace net
