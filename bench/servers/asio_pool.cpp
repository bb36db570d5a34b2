// Asio, with one io_context that --threads N threads run. Serves TCP, or --udp, or --unix PATH.

#include <functional>
#include <vector>

#include "asio_session.hpp"

namespace {

void run(asio::io_context& context, const Settings& settings) {
  std::vector<std::thread> others;
  for (int i = 1; i < settings.threads; ++i) others.emplace_back([&] { context.run(); });
  context.run();
}

template <class Protocol>
void serve(asio::io_context& context, const Settings& settings) {
  typename Protocol::acceptor acceptor(context, settings.endpoint<Protocol>());
  const std::function<void()> accept = [&] {
    acceptor.async_accept([&](std::error_code error, typename Protocol::socket socket) {
      if (!error) std::make_shared<Session<Protocol>>(std::move(socket), settings)->start();
      accept();
    });
  };
  accept();
  say_where(acceptor);
  run(context, settings);
}

}  // namespace

int main(int count, char** arguments) {
  const Settings settings(count, arguments);
  raise_descriptor_limit();
  asio::io_context context(settings.threads);
  if (settings.datagrams) {
    const DatagramEcho echo(context, settings);
    say_listening(echo.port());
    run(context, settings);
  } else if (!settings.unix_path.empty()) {
    serve<UnixStream>(context, settings);
  } else {
    serve<tcp>(context, settings);
  }
}
