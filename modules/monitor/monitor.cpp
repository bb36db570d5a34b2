module;

#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <gsl/assert>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

module net.monitor;

import net.socket;
import net.handler;
import net.server;
import :event_streams;
import :http;
import :metrics;
import :own_thread;
import :page;

namespace net {
namespace {

struct Named {
  BaseServer* server;
  std::string name;
};

// The monitored servers, and their state.
class Source {
 public:
  explicit Source(std::vector<Named> servers) : servers_(std::move(servers)) {
    for (const Named& named : servers_) named.server->time_requests();
  }

  std::vector<Sample> sample() const {
    std::vector<Sample> samples;
    samples.reserve(servers_.size());
    for (const auto& [server, name] : servers_) {
      samples.push_back({.name = name,
                         .stats = server->stats(),
                         .load = server->load(),
                         .times = server->request_times(),
                         .ready = server->ready()});
    }
    return samples;
  }

  HttpResponse readiness() const {
    HttpResponse response;
    for (const auto& [server, name] : servers_) {
      if (server->ready()) continue;
      response.status = 503;
      response.body += "not ready: " + name + "\n";
    }
    if (response.status == 200) response.body = "ready\n";
    return response;
  }

  std::string event() const {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
    return "data: " + json_of(sample(), now) + "\n\n";
  }

 private:
  const std::vector<Named> servers_;
};

struct Desk {
  explicit Desk(std::vector<Named> servers)
      : source(std::move(servers)), streams([this] { return source.event(); }) {}
  const Source source;
  EventStreams streams;
};

class MonitorHandler : public StreamRequestHandler {
 public:
  explicit MonitorHandler(Desk& desk) noexcept : desk_(desk) {}

  static std::size_t request_size(std::span<const std::byte> received) {
    return http_request_size(received);
  }

  Next handle() {
    const std::size_t size = http_request_size(std::as_bytes(std::span(rfile.buffered())));
    if (size == 0) return Next::close;  // the stream ended within the header
    const HttpRequest request = parse_http_request(rfile.read_exactly(size));
    if (request.refused == 0 && request.path == "/events" && !request.head) return stream(request);
    wfile.write(text_of(answer(request), request));
    return request.keep ? Next::keep : Next::close;
  }

 private:
  HttpResponse answer(const HttpRequest& request) const {
    if (request.refused != 0) return {.status = request.refused, .body = "no such request\n"};
    if (request.path == "/") return {.type = "text/html; charset=utf-8", .body{page_html}};
    if (request.path == "/monitor.css") {
      return {.type = "text/css; charset=utf-8", .body{page_css}};
    }
    if (request.path == "/monitor.js") {
      return {.type = "text/javascript; charset=utf-8", .body{page_js}};
    }
    if (request.path == "/metrics") {
      return {.type = "text/plain; version=0.0.4; charset=utf-8",
              .body = metrics_of(desk_.source.sample())};
    }
    if (request.path == "/healthz") return {.body = "alive\n"};
    if (request.path == "/readyz") return desk_.source.readiness();
    if (request.path == "/events") return {.type = "text/event-stream"};
    return {.status = 404, .body = "nothing is here; / has all\n"};
  }

  // Detaches the connection from the server, so that an open stream occupies no slot there.
  Next stream(const HttpRequest& request) {
    if (desk_.streams.full()) {
      wfile.write(text_of({.status = 503, .body = "there are enough streams\n"}, request));
      return request.keep ? Next::keep : Next::close;
    }
    // `detach` sends the rest of earlier answers. A client that does not take them must not keep
    // one of the few workers.
    Limits limits = context().limits();
    limits.send = limits.answer = std::chrono::milliseconds(100);
    context().set_limits(limits);
    wfile.write(event_stream_header());
    desk_.streams.add(context().detach());
    return Next::close;
  }

  Desk& desk_;
};

// A monitor has few clients.
ServerOptions options() {
  using namespace std::chrono_literals;
  ServerOptions options;
  options.max_connections = 64;
  options.overload = Overload::evict_idle;
  options.limits = {.request = 5s, .idle = 15s, .send = 5s, .answer = 10s};
  options.max_request_size = 2 * largest_http_header;
  options.adopted_files = true;
  return options;
}

std::vector<Named> named(std::span<const Watched> watched) {
  Expects(!watched.empty());
  std::vector<Named> servers;
  servers.reserve(watched.size());
  for (const auto& [server, name] : watched) {
    Expects(server != nullptr);
    servers.push_back(
        {server, name.empty() ? server->server_address().to_string() : std::string(name)});
  }
  return servers;
}

}  // namespace

struct Monitor::State {
  // Serves on `listener`, which is bound to `address`; or at `address`, if `listener` is not open.
  State(const Address& address, Socket listener, std::span<const Watched> watched)
      : desk(named(watched)), server(make(address, std::move(listener))) {
    thread = start_own_thread("net-monitor", [this] {
      try {
        server->serve_forever();
      } catch (const std::exception&) {
        // The listener failed, and the hooks have reported it: the service continues without a
        // monitor.
      }
    });
  }
  ~State() {
    server->shutdown();
    if (thread.joinable()) thread.join();
    server->server_close(std::chrono::milliseconds(0));
  }

  std::unique_ptr<BaseServer> make(const Address& address, Socket listener) {
    if (address.family() == Family::unix_domain) {
      return make<UnixStreamServer<MonitorHandler>>(address, std::move(listener));
    }
    return make<TcpServer<MonitorHandler>>(address, std::move(listener));
  }

  template <class Server>
  std::unique_ptr<BaseServer> make(const Address& address, Socket listener) {
    const auto handlers = [this] { return MonitorHandler(desk); };
    const ThreadPool::Options pool{.workers = 2};
    if (listener.fileno() < 0) {
      return std::make_unique<Server>(address, options(), pool, handlers);
    }
    return std::make_unique<Server>(std::span<const Address>(), std::move(listener), options(),
                                    pool, handlers);
  }

  Desk desk;
  std::unique_ptr<BaseServer> server;
  std::thread thread;
};

Monitor::Monitor(const Address& address, BaseServer& server)
    : Monitor(address, std::array{Watched{&server, {}}}) {}

Monitor::Monitor(const Address& address, std::span<const Watched> servers)
    : state_(std::make_unique<State>(address, Socket(), servers)) {}

Monitor::Monitor(Socket listener, std::span<const Watched> servers) {
  const Address address = listener.getsockname();
  state_ = std::make_unique<State>(address, std::move(listener), servers);
}

Monitor::~Monitor() = default;

Address Monitor::address() const { return state_->server->server_address(); }

Socket Monitor::duplicate_listener() const {
  return std::move(state_->server->duplicate_listeners().at(0));
}

}  // namespace net
