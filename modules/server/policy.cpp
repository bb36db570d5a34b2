module;

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

module net.server;

import net.socket;
import :forked;
import :poller;

namespace net {

struct PolicyContext::State {
  State() { notice_forks(); }

  // A descriptor may be watched again, with the same number, while an event of its former watch is
  // being dispatched. So an event names a watch by its descriptor and its turn.
  struct Watched {
    std::uint32_t turn = 0;
    std::shared_ptr<std::function<void()>> ready;
  };

  void add(int descriptor, const Watched& watched) {
    const std::uint64_t name =
        (std::uint64_t{watched.turn} << 32U) | static_cast<std::uint32_t>(descriptor);
    epoll_event event{.events = EPOLLIN, .data = {.u64 = name}};
    if (::epoll_ctl(poller.fileno(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
      throw_system_error(errno, "epoll_ctl");
    }
  }
  void remove(int descriptor) noexcept {
    ::epoll_ctl(poller.fileno(), EPOLL_CTL_DEL, descriptor, nullptr);
  }
  // Returns null if the watch has ended.
  std::shared_ptr<std::function<void()>> find(std::uint64_t name) noexcept {
    const std::lock_guard lock(watches_mutex());
    const auto found = watches.find(static_cast<int>(static_cast<std::uint32_t>(name)));
    const bool same = found != watches.end() && found->second.turn == name >> 32U;
    return same ? found->second.ready : nullptr;
  }

  const Process process = this_process();
  Poller poller;
  std::unique_ptr<OwnParkingLot> lot;
  std::size_t descriptors_each = 1;
  // Lets only one of the servers that share the policy dispatch at a time.
  std::mutex mutex;
  std::map<int, Watched> watches;
  std::uint32_t turns = 0;
};

PolicyContext::PolicyContext() : state_(std::make_unique<State>()) {}

PolicyContext::~PolicyContext() = default;

void PolicyContext::watch(int descriptor, std::function<void()> ready) {
  auto shared = std::make_shared<std::function<void()>>(std::move(ready));
  const std::lock_guard lock(watches_mutex());
  const auto [added, is_new] = state_->watches.try_emplace(descriptor);
  if (!is_new) throw_system_error(EEXIST, "watch");
  try {
    added->second = {++state_->turns, std::move(shared)};
    OwnDescriptors::add(descriptor);
    state_->add(descriptor, added->second);
  } catch (...) {
    OwnDescriptors::remove(descriptor);
    state_->watches.erase(added);
    throw;
  }
}

void PolicyContext::unwatch(int descriptor) noexcept {
  State::Watched ended;  // freed without the lock: may own objects of the policy
  const std::lock_guard lock(watches_mutex());
  const auto found = state_->watches.find(descriptor);
  if (found == state_->watches.end()) return;
  OwnDescriptors::remove(descriptor);
  state_->remove(descriptor);
  ended = std::move(found->second);
  state_->watches.erase(found);
}

ParkingLot& PolicyContext::take_parking_lot() {
  if (!state_->lot) state_->lot = std::make_unique<OwnParkingLot>();
  return *state_->lot;
}

void PolicyContext::each_opens(std::size_t descriptors) noexcept {
  state_->descriptors_each += descriptors;
}

std::size_t OwnPolicyContext::descriptors_each() const noexcept { return state_->descriptors_each; }

OwnParkingLot* OwnPolicyContext::parking_lot() const noexcept { return state_->lot.get(); }

int OwnPolicyContext::fileno() const noexcept { return state_->poller.fileno(); }

void OwnPolicyContext::dispatch() {
  const std::unique_lock lock(state_->mutex, std::try_to_lock);
  if (!lock) return;
  std::array<epoll_event, 64> room;  // epoll fills it
  const auto events = wait_for_events(fileno(), room, Deadline::Clock::time_point::min());
  for (const epoll_event& event : events) {
    const auto ready = state_->find(event.data.u64);  // lives while it runs, whatever it unwatches
    if (ready) (*ready)();
  }
}

bool OwnPolicyContext::ours() const noexcept { return state_->process == this_process(); }

void OwnPolicyContext::close() noexcept {
  if (OwnDescriptors::closed_here(state_->process)) return;
  // The poller is closed first, so that its descriptors stay watched for the parent.
  state_->poller.close();
  close_watched();
  if (state_->lot) state_->lot->close();
}

void OwnPolicyContext::close_watched() noexcept {
  for (const auto& [descriptor, watch] : state_->watches) {
    // The parent has the same open file, so epoll would go on watching it.
    state_->remove(descriptor);
    OwnDescriptors::remove(descriptor);
    ::close(descriptor);
  }
  state_->watches.clear();
}

void OwnPolicyContext::renew() {
  auto fresh = std::make_unique<State>();
  for (const auto& [descriptor, watch] : state_->watches) fresh->add(descriptor, watch);
  if (state_->lot) state_->lot->renew();
  fresh->lot = std::move(state_->lot);
  fresh->watches = std::move(state_->watches);
  fresh->turns = state_->turns;
  fresh->descriptors_each = state_->descriptors_each;
  state_ = std::move(fresh);
}

AnyPolicy::AnyPolicy() : made_in_(this_process()) {}

AnyPolicy::~AnyPolicy() = default;

bool AnyPolicy::ours() const noexcept {
  if (made_in_ == this_process()) return true;
  const Process started_in = started_in_.load();
  return can_start() && (started_in == 0 || started_in == this_process());
}

void AnyPolicy::start_here() {
  if (started_in_.load() == this_process()) return;
  const std::lock_guard lock(first_use());
  if (started_in_.load() == this_process()) return;
  start();
  started_in_.store(this_process());
}

bool AnyPolicy::started_here() const noexcept {
  return !can_start() || started_in_.load() == this_process();
}

void AnyPolicy::expire() {
  if (started_here()) expire_now();
}

PolicyLoad AnyPolicy::load() { return started_here() ? load_now() : PolicyLoad{}; }

std::shared_ptr<AnyPolicy> owned(AnyPolicy* policy) {
  return {policy, [](AnyPolicy* last) {
            if (last->ours()) {
              delete last;
              return;
            }
            last->context().close();
            keep_for_ever(last);
          }};
}

}  // namespace net
