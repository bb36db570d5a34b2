// POCO's TCPServer: a connection occupies a thread of a pool, as TCPServerConnection documents it.
// --threads N is the size of that pool, so it has to be the number of connections. work.h lists
// what its handlers can do.

#include <Poco/Exception.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/TCPServer.h>
#include <Poco/Net/TCPServerConnection.h>
#include <Poco/Net/TCPServerConnectionFactory.h>
#include <Poco/Net/TCPServerParams.h>
#include <Poco/ThreadPool.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#include "arguments.h"
#include "work.h"

namespace {

int buffer_size = 4096;

class Echo : public Poco::Net::TCPServerConnection {
 public:
  using TCPServerConnection::TCPServerConnection;

  void run() override {
    auto& connection = socket();
    connection.setNoDelay(true);
    std::vector<char> buffer(static_cast<std::size_t>(buffer_size));
    try {
      for (int count = connection.receiveBytes(buffer.data(), buffer_size); count > 0;
           count = connection.receiveBytes(buffer.data(), buffer_size)) {
        if (work.given) do_work_in_place(buffer.data(), static_cast<std::size_t>(count));
        for (int sent = 0; sent < count;) {
          sent += connection.sendBytes(buffer.data() + sent, count - sent);
        }
      }
    } catch (const Poco::Exception&) {
      // The client has closed the connection.
    }
  }
};

}  // namespace

int main(int count, char** arguments) {
  take_work(count, arguments);
  const int threads = number_argument(count, arguments, "--threads", 64);
  buffer_size = number_argument(count, arguments, "--buffer", buffer_size);
  sigset_t stop;  // blocked before there are threads, which inherit it
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);

  const auto port = static_cast<Poco::UInt16>(number_argument(count, arguments, "--port", 0));
  Poco::Net::ServerSocket listener(Poco::Net::SocketAddress("127.0.0.1", port), 4096);
  Poco::Net::TCPServerParams::Ptr params = new Poco::Net::TCPServerParams;
  params->setMaxThreads(threads);
  params->setMaxQueued(4096);
  Poco::ThreadPool pool(2, threads + 1);
  Poco::Net::TCPServer server(new Poco::Net::TCPServerConnectionFactoryImpl<Echo>, pool, listener,
                              params);
  server.start();
  say_listening(listener.address().port());
  int signal = 0;
  sigwait(&stop, &signal);
  server.stop();
  // An ordinary exit would wait for the threads of open connections, without end.
  _exit(EXIT_SUCCESS);
}
