/// \file
/// Module `net.server`: servers, and the policies that run their requests.
///
/// The parts, with Python's `socketserver` in mind:
///
///     TcpServer<Handler, Policy>      binds, listens, accepts, and parks idle connections; the
///                                     other kinds are UdpServer, UnixStreamServer,
///                                     UnixDatagramServer and PacketServer
///     Handler                         answers requests: `net.handler`
///     Policy                          decides where they run: ThreadPool (the default),
///                                     ThreadPerRequest, ForkPerRequest, Inline, or yours
///     ServerHooks                     sees what happens, and may refuse
///     ServerOptions                   limits, time-outs and other settings
///
/// A server in ten lines:
///
///     import net.server;
///
///     struct Echo : net::StreamRequestHandler {
///       net::Next handle() {
///         wfile.write(rfile.read_some());
///         return net::Next::keep;
///       }
///     };
///
///     int main() {
///       net::TcpServer<Echo> server{net::Address{"127.0.0.1", 9999}};
///       server.serve_forever();
///     }
///
/// The life of a connection: accept → verify_request → policy → handler → (parked ⇄ handler) →
/// close. Between requests it is parked: it needs no thread, no stack, and less than a kilobyte.
///
/// Stopping: call `shutdown` from anywhere, and `serve_forever` returns. Then `server_close`
/// finishes the requests in progress within a deadline, and reports how the connections ended.
export module net.server;

export import net.socket;
export import net.handler;
export import :options;
export import :hooks;
export import :handler_binding;
export import :hook_checks;
export import :request;
export import :parking_lot;
export import :child;
export import :policy;
export import :thread_pool;
export import :thread_per_request;
export import :fork_per_request;
export import :inline_policy;
export import :server_parts;
export import :base_server;
export import :servers;
export import :serving;
