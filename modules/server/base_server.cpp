module;

#include <atomic>
#include <chrono>
#include <exception>
#include <gsl/assert>
#include <memory>
#include <mutex>
#include <span>
#include <system_error>

module net.server;

import net.socket;
import net.handler;
import :engine;
import :forked;
import :option_checks;
import :running_mark;

namespace net {
namespace {

[[noreturn]] void throw_error(std::errc error, const char* what) {
  throw std::system_error(std::make_error_code(error), what);
}

// Marks the server as being served while an object of this class exists.
class ServingCall {
 public:
  ServingCall(Engine& engine, const char* call) : engine_(engine), mark_(engine) {
    engine_.lifecycle.begin_serving(call);
  }
  ServingCall(const ServingCall&) = delete;
  ServingCall& operator=(const ServingCall&) = delete;
  ~ServingCall() {
    engine_.end_serving();
    engine_.lifecycle.end_serving();
  }

 private:
  Engine& engine_;
  const RunningMark mark_;  // a hook that closed the server would wait for itself
};

}  // namespace

BaseServer::BaseServer(AnyServerParts& parts) {
  if (parts.addresses.empty() && parts.adopted.empty()) {
    throw_error(std::errc::invalid_argument, "a server needs an address or a socket, and has none");
  }
  Expects(parts.maker != nullptr && parts.policy != nullptr);
  auto engine = std::make_unique<Engine>(parts);
  if (parts.options.bind_and_activate) {
    engine->bind();
    engine->activate();
  }
  engine_.store(engine.release());
}

BaseServer::~BaseServer() {
  Engine* const engine = engine_.load();
  if (engine->forked_away()) {
    if (!engine->lifecycle.closed()) engine->leave();
    keep_for_ever(engine);
    return;
  }
  // A server that is destroyed in its own handler would wait for itself forever.
  Expects(!RunningMark::is_set(*engine));
  while (!engine->lifecycle.closed()) server_close();
  engine->wait_for_connections();
  delete engine;
}

Engine& BaseServer::here(const char* call) const {
  Engine* engine = engine_.load();
  if (!engine->forked_away()) return *engine;
  const std::lock_guard lock(first_use());
  engine = engine_.load();
  if (!engine->forked_away()) return *engine;
  if (engine->is_lost()) throw_error(std::errc::bad_file_descriptor, call);
  engine_.store(engine->make_heir().release());
  engine->leave();
  keep_for_ever(engine);
  // A signal handler may have called `shutdown` meanwhile.
  if (engine->stop_asked()) engine_.load()->shutdown();
  return *engine_.load();
}

std::string to_string(const DrainReport& report) {
  return "drained " + std::to_string(report.drained) + ", closed idle " +
         std::to_string(report.closed_idle) + ", cut " + std::to_string(report.cut) + ", dropped " +
         std::to_string(report.dropped) + ", stuck " + std::to_string(report.stuck);
}

void BaseServer::server_bind() { here("server_bind").bind(); }

void BaseServer::server_activate() { here("server_activate").activate(); }

void BaseServer::serve_forever(std::chrono::milliseconds poll_interval) {
  check_poll_interval(poll_interval);
  Engine& engine = here("serve_forever");
  const ServingCall serving(engine, "serve_forever");
  engine.begin_serving();
  engine.serve(poll_interval);
}

void BaseServer::handle_request() {
  Engine& engine = here("handle_request");
  const ServingCall serving(engine, "handle_request");
  engine.begin_serving();
  const auto timeout = engine.options.timeout;
  const Deadline deadline = timeout ? Deadline(*timeout) : Deadline::never();
  if (engine.serve_one(deadline) == Engine::Served::nothing) engine.hooks.handle_timeout();
}

void BaseServer::shutdown() noexcept { engine_.load()->shutdown(); }

void BaseServer::restart() noexcept { engine_.load()->restart(); }

DrainReport BaseServer::server_close() { return server_close(engine_.load()->options.drain); }

DrainReport BaseServer::server_close(Deadline deadline) {
  Engine& engine = *engine_.load();
  if (RunningMark::is_set(engine)) {
    throw_error(std::errc::resource_deadlock_would_occur, "server_close in a handler or a hook");
  }
  if (engine.forked_away()) {
    if (!engine.lifecycle.closed()) engine.leave();
    return {};
  }
  engine.shutdown();
  const DrainReport report = engine.close(deadline);
  // Wakes up a program that polls `fileno` in another thread.
  engine.wakeup.signal();
  return report;
}

Address BaseServer::server_address(std::size_t listener) const {
  return engine_.load()->acceptor().address(listener);
}

std::size_t BaseServer::listeners() const noexcept {
  return engine_.load()->acceptor().listeners();
}

std::vector<Socket> BaseServer::duplicate_listeners() const {
  return engine_.load()->acceptor().duplicate_listeners();
}

int BaseServer::fileno() const noexcept {
  try {
    const Engine& engine = here("fileno");
    return engine.lifecycle.closed() ? -1 : engine.poller.fileno();
  } catch (const std::exception&) {
    return -1;
  }
}

Stats BaseServer::stats() const { return engine_.load()->stats(); }

void BaseServer::time_requests() noexcept { engine_.load()->counters.time_requests(); }

RequestTimes BaseServer::request_times() const noexcept {
  return engine_.load()->counters.request_times();
}

Load BaseServer::load() const { return engine_.load()->load(); }

bool BaseServer::ready() const noexcept {
  const Engine& engine = *engine_.load();
  return wants_clients_.load() && engine.lifecycle.active() && !engine.stop_asked() &&
         !engine.draining();
}

void BaseServer::kill_children() noexcept { engine_.load()->kill_children(); }

}  // namespace net
