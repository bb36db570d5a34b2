/// \file
/// Module `net.socket`: sockets as Python's `socket` has them, owned by objects and typed.
///
/// A `Socket` owns one descriptor. It moves, it does not copy, and it closes at the end of its
/// life. An `Address` is numeric (IPv4, IPv6), a path or a name (Unix), or a network interface
/// (packet); names of hosts become addresses through `resolve`. A `Deadline` is a point on the
/// steady clock, and a duration converts to it, so both calls here are bounded:
///
///     net::Socket peer = net::create_connection("localhost", 8080, 5s);
///     peer.sendall(net::bytes("hello\n"), 2s);
///
/// `sendmsg` and `recvmsg` take several buffers and, as an `Ancillary`, what goes beside them:
/// descriptors of files for example, each then owned by a `Descriptor`. `sendfile` sends a file.
///
/// Errors are exceptions of type `std::system_error` whose code compares with `std::errc`; a time
/// that ran out is a `TimeoutError`. What happens in normal life is a value: the end of a stream is
/// a receive of 0 bytes.
///
/// Descriptors are close-on-exec. A call that a signal interrupts goes on with what is left of its
/// time. No call raises SIGPIPE. The module changes no state of the process.
///
/// Nothing here knows of servers: see `net.handler` and `net.server`.
export module net.socket;

export import :errors;
export import :deadline;
export import :address;
export import :networks;
export import :descriptor;
export import :options;
export import :socket;
export import :message;
export import :sending_files;
export import :connecting;
