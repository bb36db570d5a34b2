/// \file
/// Module `net.handler`: handlers, which answer requests.
///
/// A handler is a class of yours with a function `handle`. Its return type determines what one call
/// handles:
///
///     struct Echo : net::StreamRequestHandler {      // one request per call
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
/// There is one handler object for each connection. The server constructs it, or calls your
/// factory, which can pass it the state of your application. Then the server attaches the
/// connection, and calls `setup` once, `handle` for each request, and `finish` once. Successive
/// calls may run on different threads, but never concurrently, and each happens before the next.
/// Factories are called concurrently. `finish` is not called if `setup` threw. An exception ends
/// only this connection.
///
/// With `Next handle()` the server reads ahead. If a class also defines when a request is complete,
/// a slow sender occupies no thread at all:
///
///     static std::size_t request_size(std::span<const std::byte> received) {
///       return net::line(received);
///     }
///
/// For datagrams, the server has one handler object for each datagram. Its `void handle()` answers
/// the datagram:
///
///     struct Shout : net::DatagramRequestHandler {
///       void handle() { wfile.write(upper(rfile.read_some())); }   // one datagram back
///     };
///
/// A class that is not derived from one of the bases is constructed from a `RequestContext&`. A
/// handler never names its server type: the context is its view of the server.
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
