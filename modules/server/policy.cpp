module;

#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

module net.server;

import net.socket;
import :poller;

namespace net {
namespace {

class FunctionWatch final : public Watch {
 public:
  explicit FunctionWatch(std::function<void()> function) : function_(std::move(function)) {}
  void ready(std::uint32_t) override { function_(); }

 private:
  std::function<void()> function_;
};

}  // namespace

struct PolicyContext::State {
  Poller poller;
  std::unique_ptr<ParkingLot> lot;
  std::size_t descriptors_each = 1;
  // Servers that share the policy dispatch one at a time.
  std::mutex mutex;
  std::mutex watches_mutex;
  // Shared, so that a function may unwatch its own descriptor while it runs.
  std::map<int, std::shared_ptr<FunctionWatch>> watches;
  std::shared_ptr<FunctionWatch> unwatched;
};

PolicyContext::PolicyContext() : state_(std::make_unique<State>()) {}

PolicyContext::~PolicyContext() = default;

void PolicyContext::watch(int descriptor, std::function<void()> ready) {
  auto watch = std::make_shared<FunctionWatch>(std::move(ready));
  const std::lock_guard lock(state_->watches_mutex);
  state_->poller.add(descriptor, *watch);
  state_->watches[descriptor] = std::move(watch);
}

void PolicyContext::unwatch(int descriptor) noexcept {
  const std::lock_guard lock(state_->watches_mutex);
  const auto found = state_->watches.find(descriptor);
  if (found == state_->watches.end()) return;
  state_->poller.remove(descriptor, *found->second);
  state_->unwatched = std::move(found->second);
  state_->watches.erase(found);
}

ParkingLot& PolicyContext::take_parking_lot() {
  if (!state_->lot) state_->lot = std::make_unique<ParkingLot>();
  return *state_->lot;
}

void PolicyContext::each_opens(std::size_t descriptors) noexcept {
  state_->descriptors_each += descriptors;
}

std::size_t PolicyContext::descriptors_each() const noexcept { return state_->descriptors_each; }

ParkingLot* PolicyContext::parking_lot() const noexcept { return state_->lot.get(); }

int PolicyContext::fileno() const noexcept { return state_->poller.fileno(); }

void PolicyContext::dispatch() {
  const std::unique_lock lock(state_->mutex, std::try_to_lock);
  if (lock) state_->poller.dispatch(Deadline::Clock::time_point::min());
}

void PolicyContext::close_in_child() noexcept {
  for (const auto& [descriptor, watch] : state_->watches) ::close(descriptor);
  ::close(state_->poller.fileno());
  if (state_->lot) ::close(state_->lot->fileno());
}

AnyPolicy::AnyPolicy() = default;

AnyPolicy::~AnyPolicy() = default;

std::shared_ptr<AnyPolicy> owned(AnyPolicy* policy) { return std::shared_ptr<AnyPolicy>(policy); }

}  // namespace net
