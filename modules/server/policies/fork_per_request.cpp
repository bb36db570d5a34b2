module;

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <gsl/util>
#include <map>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>

module net.server;

import net.socket;
import :connection;
import :service;
import :fork_scope;
import :forked;
import :option_checks;

namespace net {
namespace {

constexpr auto time_to_die = std::chrono::milliseconds(40);

// Returns whether the client of a conversation has sent nothing and can send nothing any more.
bool left_unheard(int descriptor) noexcept {
  std::byte one{};
  const auto count = ::recv(descriptor, &one, 1, MSG_PEEK | MSG_DONTWAIT);
  return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
}

}  // namespace

// The lock guards the members, since each server that shares the policy has its own serving thread.
// Connections end without it, since their hooks may call any server. If one ends while its child is
// being made, it ends under the lock; so `load` takes no lock.
struct ForkPerRequest::State {
  State(const Options& given, PolicyContext& policy_context)
      : options(given), context(policy_context) {}

  void start(Request& request) {
    Child child(request, options.worker_hooks);
    const int ended = child.fileno();
    if (ended < 0) return;
    const auto started = children.emplace(ended, std::move(child)).first;
    count = children.size();
    try {
      context.watch(ended, [this, ended] { collect(ended); });
    } catch (...) {
      children.erase(started);  // its end would not be noticed
      count = children.size();
      throw;
    }
  }

  void collect(int ended) {
    std::unique_lock lock(mutex);
    context.unwatch(ended);
    auto child = children.extract(ended);
    count = children.size();
    lock.unlock();
    child.mapped().collect();
    lock.lock();
    start_waiting(lock);
  }

  // A conversation whose client ended its input before it sent anything comes last. Most of these
  // clients have gone, but some only wait for the server to send.
  void start_waiting(std::unique_lock<std::mutex>& lock) {
    const auto note = gsl::finally([this] { note_queued(); });
    while (any_waiting() && children.size() < options.max_children) {
      RequestQueue& queue = waiting.empty() ? unheard : waiting;
      Request request = queue.pop();
      if (&queue == &waiting && request.conversation() && left_unheard(request.fileno())) {
        unheard.push(std::move(request));
        continue;
      }
      Service& service = RequestAccess::connection(request).service();
      const Address peer = request.peer();
      try {
        start(request);
      } catch (const std::exception&) {
        // The next attempt follows the end of another child. If there is no child, the request is
        // dropped.
        if (children.empty() || !request) {
          note_queued();
          lock.unlock();
          service.hooks.policy_failed(peer);
          request = {};
          lock.lock();
          continue;
        }
        queue.push_front(std::move(request));
        return;
      }
    }
  }

  int any_child() const noexcept {
    const std::lock_guard lock(mutex);
    return children.begin()->first;
  }

  void note_queued() noexcept { queued = waiting.size() + unheard.size(); }
  bool any_waiting() const noexcept { return !waiting.empty() || !unheard.empty(); }

  const Options options;
  PolicyContext& context;
  mutable std::mutex mutex;
  std::map<int, Child> children;  // by the descriptor that becomes readable when they end
  // Read without the lock.
  std::atomic<std::size_t> count{0};   // of the children
  std::atomic<std::size_t> queued{0};  // of the requests in both queues
  RequestQueue waiting;
  RequestQueue unheard;
};

ForkPerRequest::ForkPerRequest(Options options, PolicyContext& context) {
  check(options);
  // Without these calls, no child could be waited for or killed. Fail now, not at each request.
  const Descriptor probe(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  const bool refused =
      probe.get() < 0 || ::syscall(SYS_pidfd_send_signal, probe.get(), 0, nullptr, 0) != 0;
  if (refused && (errno == ENOSYS || errno == EPERM)) {
    throw_system_error(errno, "ForkPerRequest needs pidfd_open and pidfd_send_signal");
  }
  OwnDescriptors::expect_forks();
  state_ = std::make_unique<State>(options, context);
  context.each_opens(1);  // the child's pidfd
}

ForkPerRequest::~ForkPerRequest() = default;

void ForkPerRequest::start() {
  if (!std::exchange(started_, true)) return;
  // After a fork, the children in the old state are those of the parent.
  auto fresh = std::make_unique<State>(state_->options, state_->context);
  static_cast<OwnPolicyContext&>(state_->context).close_watched();
  keep_for_ever(state_.release());
  state_ = std::move(fresh);
}

void ForkPerRequest::process(Request request) {
  std::unique_lock lock(state_->mutex);
  while (state_->waiting.empty() && state_->children.size() < state_->options.max_children) {
    try {
      state_->start(request);
      return;
    } catch (const std::system_error& error) {
      if (!request) throw;
      // First close lingering sockets, which only wait for their peers to close.
      const bool wants_descriptors = error.code() == std::errc::too_many_files_open;
      if (wants_descriptors && ForkScope::close_oldest_lingering()) continue;
      if (state_->children.empty()) throw;
      break;
    }
  }
  if (state_->options.overload == Overload::evict_idle) request.evict_idle();
  if (state_->options.overload != Overload::reject) {
    state_->waiting.push(std::move(request));
    state_->note_queued();
    return;
  }
  lock.unlock();
  request.reject();
}

void ForkPerRequest::expire() {
  RequestQueue overdue;  // ended without the lock
  const std::lock_guard lock(state_->mutex);
  state_->waiting.take_overdue(overdue);
  state_->unheard.take_overdue(overdue);
  state_->note_queued();
}

// Before this call, the server has ended all connections, and killed the children that it could not
// end otherwise. On a busy machine, the destructor waits for the last of these.
DrainReport ForkPerRequest::drain(Deadline deadline) {
  const Deadline in_time = std::min(deadline, Deadline(time_to_die));
  for (std::size_t left = children(); left > 0; --left) {
    pollfd first{.fd = state_->any_child(), .events = POLLIN, .revents = 0};
    const auto time = std::chrono::ceil<std::chrono::milliseconds>(in_time.left()).count();
    if (::poll(&first, 1, static_cast<int>(std::max<std::int64_t>(time, 0))) != 1) break;
    state_->collect(first.fd);
  }
  return {};
}

PolicyLoad ForkPerRequest::load() const {
  const std::size_t children = state_->count;
  return {.waiting = state_->queued,
          .workers = children,
          .busy = children,
          .most = state_->options.max_children};
}

std::size_t ForkPerRequest::children() const noexcept { return state_->count.load(); }

}  // namespace net
