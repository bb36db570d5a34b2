module;

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <gsl/assert>
#include <gsl/util>
#include <memory>
#include <mutex>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

module net.server;

import net.socket;
import net.handler;
import :core;
import :forked;
import :option_checks;

namespace net {
namespace {

using namespace std::chrono_literals;

[[noreturn]] void throw_error(std::errc error, const char* what) {
  throw std::system_error(std::make_error_code(error), what);
}

// Holds the serving thread's place: one thread at a time.
class Serving {
 public:
  Serving(ServerCore& core, const char* call) : core_(core), mark_(core) {
    const std::lock_guard lock(core_.serving_mutex);
    // From the beginning of `server_close`: who serves in a loop must not keep it waiting.
    if (core_.page.draining.load()) throw_error(std::errc::bad_file_descriptor, call);
    if (core_.serving) throw_error(std::errc::operation_in_progress, call);
    if (!core_.active()) throw_error(std::errc::bad_file_descriptor, call);
    core_.serving = true;
  }
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;
  ~Serving() {
    core_.end_serving();
    const std::lock_guard lock(core_.serving_mutex);
    core_.serving = false;
    core_.serving_changed.notify_all();
  }

 private:
  ServerCore& core_;
  const RunningMark mark_;  // its hooks could only wait for themselves, too
};

}  // namespace

AnyServerParts::AnyServerParts() noexcept = default;

AnyServerParts::~AnyServerParts() = default;

void AnyServerParts::own(HandlerMaker* handler_maker) noexcept { maker.reset(handler_maker); }

void AnyServerParts::own(AnyPolicy* any_policy) { policy = owned(any_policy); }

void AnyServerParts::share(const std::shared_ptr<AnyPolicy>& any_policy) noexcept {
  policy = any_policy;
}

void AnyServerParts::adopt(Socket socket) { adopted.push_back(std::move(socket)); }

void AnyServerParts::adopt(std::vector<Socket> sockets) {
  for (Socket& socket : sockets) adopted.push_back(std::move(socket));
}

BaseServer::BaseServer(AnyServerParts& parts) {
  if (parts.addresses.empty() && parts.adopted.empty()) {
    throw_error(std::errc::invalid_argument, "a server needs an address or a socket, and has none");
  }
  Expects(parts.maker != nullptr && parts.policy != nullptr);
  auto core = std::make_unique<ServerCore>(parts);
  if (parts.options.bind_and_activate) {
    core->bind();
    core->activate();
  }
  core_.store(core.release());
}

BaseServer::~BaseServer() {
  ServerCore* const core = core_.load();
  if (core->forked_away()) {
    if (!core->closed) core->leave();
    keep_for_ever(core);
    return;
  }
  // A server that is destroyed in its own handler could only wait for itself.
  Expects(!RunningMark::is_set(*core));
  while (!core->closed) server_close();
  core->wait_for_connections();
  delete core;
}

ServerCore& BaseServer::here(const char* call) const {
  ServerCore* core = core_.load();
  if (!core->forked_away()) return *core;
  const std::lock_guard lock(first_use());
  core = core_.load();
  if (!core->forked_away()) return *core;
  if (core->is_lost()) throw_error(std::errc::bad_file_descriptor, call);
  core_.store(core->make_heir().release());
  core->leave();
  keep_for_ever(core);
  // A signal handler may have come meanwhile.
  if (core->stop_asked()) core_.load()->shutdown();
  return *core_.load();
}

void BaseServer::server_bind() { here("server_bind").bind(); }

void BaseServer::server_activate() { here("server_activate").activate(); }

void BaseServer::serve_forever(std::chrono::milliseconds poll_interval) {
  check_poll_interval(poll_interval);
  ServerCore& core = here("serve_forever");
  const Serving serving(core, "serve_forever");
  core.begin_serving();
  core.serve(poll_interval);
}

void BaseServer::handle_request() {
  ServerCore& core = here("handle_request");
  const Serving serving(core, "handle_request");
  core.begin_serving();
  const auto timeout = core.options.timeout;
  const Deadline deadline = timeout ? Deadline(*timeout) : Deadline::never();
  if (core.serve_one(deadline) == ServerCore::Served::nothing) core.call_handle_timeout();
}

void BaseServer::shutdown() noexcept { core_.load()->shutdown(); }

void BaseServer::restart() noexcept { core_.load()->restart(); }

DrainReport BaseServer::server_close() { return server_close(core_.load()->options.drain); }

DrainReport BaseServer::server_close(Deadline deadline) {
  ServerCore& core = *core_.load();
  if (RunningMark::is_set(core)) {
    throw_error(std::errc::resource_deadlock_would_occur, "server_close in a handler or a hook");
  }
  if (core.forked_away()) {
    if (!core.closed) core.leave();
    return {};
  }
  core.shutdown();
  std::unique_lock lock(core.serving_mutex);
  core.serving_changed.wait(lock, [&core] { return !core.closing; });
  if (core.closed) return core.report;
  core.closing = true;
  const auto done = gsl::finally([&core, &lock] {
    if (!lock.owns_lock()) lock.lock();
    core.closing = false;
    core.serving_changed.notify_all();
  });
  const Stats before = core.begin_drain();
  const auto free = [&core] { return !core.serving; };
  // The serving thread itself may be held by a conversation: then nobody else tells that it ends.
  const auto wait_until_free = [&](Deadline until) {
    for (;;) {
      const Deadline step(10ms);
      if (core.serving_changed.wait_until(lock, std::min(step, until).point(), free)) return true;
      if (until.passed()) return false;
      core.end_silent();
    }
  };
  if (!wait_until_free(deadline)) {
    // The serving thread itself is held up by a handler.
    core.cut_all();
    if (!wait_until_free(60ms)) return {.stuck = core.registry.size()};
  }
  lock.unlock();
  const RunningMark mark(core);  // a hook that closes could only wait for this thread
  const DrainReport report = core.drain(deadline, before);
  lock.lock();
  core.report = report;
  core.closed = true;
  // A program that polls `fileno` in another thread learns of it.
  core.wakeup.signal();
  return report;
}

Address BaseServer::server_address(std::size_t listener) const {
  return core_.load()->address(listener);
}

std::size_t BaseServer::listeners() const noexcept { return core_.load()->listeners(); }

int BaseServer::fileno() const noexcept {
  try {
    const ServerCore& core = here("fileno");
    return core.closed ? -1 : core.poller.fileno();
  } catch (const std::exception&) {
    return -1;
  }
}

Stats BaseServer::stats() const { return core_.load()->stats(); }

void BaseServer::kill_children() noexcept { core_.load()->kill_children(); }

}  // namespace net
