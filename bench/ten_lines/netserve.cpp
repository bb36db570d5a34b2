// The server of README.md, as printed there. The benchmark measures the time to compile it.
import net.server;

struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};

int main() {
  net::TcpServer<Echo> server{net::Address{"127.0.0.1", 9999}};
  server.serve_forever();
}
