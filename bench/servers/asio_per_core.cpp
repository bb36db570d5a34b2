// Asio, with an io_context for each of --threads N threads. Connections go to them in turn, as in
// Asio's example examples/cpp03/http/server2. Serves TCP, or --unix PATH, or --udp, which has only
// one socket and therefore only one thread.

#include <functional>
#include <vector>

#include "asio_session.hpp"

namespace {

template <class Protocol>
void serve(const Settings& settings) {
  std::vector<std::unique_ptr<asio::io_context>> contexts;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards;
  for (int i = 0; i < settings.threads; ++i) {
    contexts.push_back(std::make_unique<asio::io_context>(1));  // run by one thread
    guards.push_back(asio::make_work_guard(*contexts.back()));
  }
  typename Protocol::acceptor acceptor(*contexts[0], settings.endpoint<Protocol>());
  std::size_t next = 0;
  const std::function<void()> accept = [&] {
    asio::io_context& context = *contexts[next++ % contexts.size()];
    acceptor.async_accept(context, [&](std::error_code error, typename Protocol::socket socket) {
      if (!error) {
        auto session = std::make_shared<Session<Protocol>>(std::move(socket), settings);
        // The session starts in the thread that will serve it, because the io_context has the hint
        // that only one thread runs it.
        asio::post(context, [session] { session->start(); });
      }
      accept();
    });
  };
  accept();
  say_where(acceptor);
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < contexts.size(); ++i) {
    others.emplace_back([&context = *contexts[i]] { context.run(); });
  }
  contexts[0]->run();
}

}  // namespace

int main(int count, char** arguments) {
  const Settings settings(count, arguments);
  raise_descriptor_limit();
  if (settings.datagrams) {
    asio::io_context context(1);
    const DatagramEcho echo(context, settings);
    say_listening(echo.port());
    context.run();
  } else if (!settings.unix_path.empty()) {
    serve<UnixStream>(settings);
  } else {
    serve<tcp>(settings);
  }
}
