module;

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

void AnyServerParts::own(AnyPolicy* any_policy) { policy.reset(any_policy); }

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
  core_ = std::make_unique<ServerCore>(parts);
  if (parts.options.bind_and_activate) {
    core_->bind();
    core_->activate();
  }
}

BaseServer::~BaseServer() {
  if (!core_) return;
  // A server that is destroyed in its own handler could only wait for itself.
  Expects(!RunningMark::is_set(*core_));
  while (!core_->closed) server_close();
  core_->wait_for_connections();
}

void BaseServer::server_bind() { core_->bind(); }

void BaseServer::server_activate() { core_->activate(); }

void BaseServer::serve_forever(std::chrono::milliseconds poll_interval) {
  check_poll_interval(poll_interval);
  const Serving serving(*core_, "serve_forever");
  core_->serve(poll_interval);
}

void BaseServer::handle_request() {
  const Serving serving(*core_, "handle_request");
  const auto timeout = core_->options.timeout;
  const Deadline deadline = timeout ? Deadline(*timeout) : Deadline::never();
  if (core_->serve_one(deadline) == ServerCore::Served::nothing) core_->call_handle_timeout();
}

void BaseServer::shutdown() noexcept { core_->shutdown(); }

void BaseServer::restart() noexcept { core_->page.stop.store(false); }

DrainReport BaseServer::server_close() { return server_close(core_->options.drain); }

DrainReport BaseServer::server_close(Deadline deadline) {
  ServerCore& core = *core_;
  if (RunningMark::is_set(core)) {
    throw_error(std::errc::resource_deadlock_would_occur, "server_close in a handler or a hook");
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

Address BaseServer::server_address(std::size_t listener) const { return core_->address(listener); }

std::size_t BaseServer::listeners() const noexcept { return core_->listeners(); }

int BaseServer::fileno() const noexcept { return core_->closed ? -1 : core_->poller.fileno(); }

Stats BaseServer::stats() const { return core_->stats(); }

void BaseServer::kill_children() noexcept { core_->kill_children(); }

}  // namespace net
