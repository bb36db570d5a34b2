// Asio, one io_context that --threads N threads run.

#include <functional>
#include <vector>

#include "asio_session.hpp"

int main(int count, char** arguments) {
  const Session::Settings settings(count, arguments);
  raise_descriptor_limit();
  asio::io_context context(settings.threads);
  tcp::acceptor acceptor(context, settings.endpoint);
  const std::function<void()> accept = [&] {
    acceptor.async_accept([&](std::error_code error, tcp::socket socket) {
      if (!error) {
        socket.set_option(tcp::no_delay(true), error);
        std::make_shared<Session>(std::move(socket), settings)->start();
      }
      accept();
    });
  };
  accept();
  say_listening(acceptor.local_endpoint().port());
  std::vector<std::thread> others;
  for (int i = 1; i < settings.threads; ++i) others.emplace_back([&] { context.run(); });
  context.run();
}
