/// \file
/// Module `net.socket`: typed sockets that own their descriptors, modelled on Python's `socket`.
///
/// A `Socket` owns one descriptor. It can be moved but not copied, and its destructor closes the
/// descriptor. An `Address` is numeric (IPv4, IPv6), a path or a name (Unix), or a network
/// interface (packet). `resolve` turns host names into addresses. A `Deadline` is a point on the
/// steady clock, and a duration converts to one. Here, connecting may take 5 seconds (after the
/// name was looked up), and sending 2 seconds:
///
///     net::Socket peer = net::create_connection("localhost", 8080, 5s);
///     peer.sendall(net::bytes("hello\n"), 2s);
///
/// `sendmsg` and `recvmsg` take several buffers. An `Ancillary` holds the ancillary data of a
/// message, such as file descriptors; each received descriptor is owned by a `Descriptor`.
/// `sendfile` sends a file.
///
/// Errors are exceptions of type `std::system_error`, whose code compares with `std::errc`. A call
/// that times out throws `TimeoutError`. Normal conditions are return values: at the end of a
/// stream, a receive returns 0 bytes.
///
/// Descriptors are close-on-exec. A call that a signal interrupts continues with the rest of its
/// time. No call raises SIGPIPE. The module changes no process-wide state.
///
/// This module knows nothing of servers: see `net.handler` and `net.server`.
export module net.socket;

export import :errors;
export import :deadline;
export import :address;
export import :networks;
export import :descriptor;
export import :options;
export import :socket_watch;
export import :socket;
export import :message;
export import :sending_files;
export import :connecting;
