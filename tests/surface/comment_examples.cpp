// The examples in the comments of the interface units. docs/reference.py --examples has made
// functions of them, and the test is that they compile. This file declares what the examples take
// for granted.

#include <chrono>
#include <csignal>
#include <cstddef>
#include <list>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

import net;
import net.handover;
import net.monitor;

using namespace std::chrono_literals;

struct Echo : net::StreamRequestHandler {
  net::Next handle();
};
struct Time : net::StreamRequestHandler {
  net::Next handle();
};
struct Shout : net::DatagramRequestHandler {
  void handle();
};
extern const net::Address address, other;
extern const std::vector<std::string> argv;
extern const int descriptor;
extern net::TcpServer<Echo> server;
extern net::ServerHooks hooks;
extern net::ServerOptions options;
std::string upper(std::string_view text);

#include EXAMPLES
