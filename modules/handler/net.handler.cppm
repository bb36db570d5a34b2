/// \file
/// Module `net.handler`: what answers a request.
///
/// A handler is a class of yours with a function `handle`. Its return type says what one call is:
///
///     struct Echo : net::StreamRequestHandler {      // one request a call
///       net::Next handle() {
///         wfile.write(rfile.read_some());
///         return net::Next::keep;                    // the connection waits without a thread
///       }
///     };
///
///     struct Greeter : net::StreamRequestHandler {   // a conversation, as in Python
///       void handle() {
///         wfile.write("Who are you?\n");
///         if (auto name = rfile.read_line()) wfile.write("Hello " + std::string(*name));
///       }
///     };
///
/// There is one object for each connection. The server makes it (or has your factory make it, which
/// is how it gets the state of your application), attaches the connection, and calls `setup` once,
/// `handle` for each request, `finish` once. Successive calls may come on different threads, never
/// two at once, and each happens before the next. Factories are called concurrently. `finish` is
/// not called if `setup` threw. An exception ends this connection, and nothing else.
///
/// With `Next handle()` the server reads ahead. A class may say when a request is whole, and then
/// a slow sender occupies no thread at all:
///
///     static std::size_t request_size(std::span<const std::byte> received) {
///       return net::line(received);
///     }
///
/// Servers of datagrams have one handler object for each datagram, whose `void handle()` answers
/// it:
///
///     struct Shout : net::DatagramRequestHandler {
///       void handle() { wfile.write(upper(rfile.read_some())); }   // one datagram back
///     };
///
/// A class that derives from none of the bases is constructed from a `RequestContext&`. The handler
/// never names a server: the context is its view of it.
export module net.handler;

export import net.socket;
export import :stats;
export import :limits;
export import :byte_buffer;
export import :buffered_stream;
export import :stream;
export import :datagram;
export import :context;
export import :request_handler;
export import :framing;
export import :concepts;
