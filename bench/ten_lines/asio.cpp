// The server of netserve.cpp, written with Asio, after its tutorial. The benchmark measures the
// time to compile it.
#include <asio.hpp>
#include <memory>

using asio::ip::tcp;

struct Session : std::enable_shared_from_this<Session> {
  explicit Session(tcp::socket connection) : socket(std::move(connection)) {}

  void read() {
    socket.async_read_some(asio::buffer(data),
                           [self = shared_from_this()](std::error_code error, std::size_t size) {
                             if (!error) self->write(size);
                           });
  }
  void write(std::size_t size) {
    asio::async_write(socket, asio::buffer(data, size),
                      [self = shared_from_this()](std::error_code error, std::size_t) {
                        if (!error) self->read();
                      });
  }

  tcp::socket socket;
  char data[4096];
};

void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](std::error_code error, tcp::socket socket) {
    if (!error) std::make_shared<Session>(std::move(socket))->read();
    accept(acceptor);
  });
}

int main() {
  asio::io_context context;
  tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 9999});
  accept(acceptor);
  context.run();
}
