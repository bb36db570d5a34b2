module;

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

module net.server;

import net.socket;
import :connection;
import :forked;
import :poller;

namespace net {
namespace {

constexpr std::uint32_t input_edges = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;

}  // namespace

struct ParkingLot::State {
  State() : epoll(above_standard_streams(::epoll_create1(EPOLL_CLOEXEC))) {
    if (epoll.get() < 0) throw_system_error(errno, "epoll_create1");
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wakeup.fileno(), &event) != 0) {
      throw_system_error(errno, "epoll_ctl");
    }
    OwnDescriptors::add(epoll.get());
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { close(); }

  void close() noexcept {
    OwnDescriptors::remove(epoll.get());
    epoll.close();
    wakeup.close();
  }

  void control(int operation, Connection& connection, std::uint32_t events) {
    epoll_event event{.events = events, .data = {.ptr = &connection}};
    if (::epoll_ctl(epoll.get(), operation, connection.socket().fileno(), &event) != 0) {
      throw_system_error(errno, "epoll_ctl");
    }
  }

  // Frees the connections that were retired before. Only a wait that was in progress then could
  // still refer to them, and waits do not overlap.
  void free_retired() noexcept {
    Connection* connection = retired.exchange(nullptr, std::memory_order_acquire);
    while (connection != nullptr) {
      delete std::exchange(connection, connection->next_retired);
    }
  }

  std::size_t take_pushed(std::span<Request> ready) {
    if (!has_pushed.load(std::memory_order_acquire)) return 0;
    const std::lock_guard lock(mutex);
    std::size_t count = 0;
    while (count < ready.size() && !pushed.empty()) ready[count++] = pushed.pop();
    settle();
    return count;
  }

  void push(Request request) {
    const std::lock_guard lock(mutex);
    pushed.push(std::move(request));
    settle();
  }

  void set_woken(bool value) {
    const std::lock_guard lock(mutex);
    woken = value;
    settle();
  }

  // Call with the lock held. Keeps the wake-up readable exactly while the next wait must not block.
  void settle() noexcept {
    has_pushed.store(!pushed.empty(), std::memory_order_release);
    const bool due = woken || !pushed.empty();
    if (due == signalled) return;
    signalled = due;
    if (due) {
      wakeup.signal();
    } else {
      wakeup.clear();
    }
  }

  // An event may refer to a receiver that was removed meanwhile, so it holds a key and not an
  // address.
  std::size_t receive(std::uint64_t key, std::span<Request> ready) {
    const std::lock_guard lock(receivers_mutex);
    const auto found = receivers.find(key);
    return found != receivers.end() ? found->second->receive(ready) : 0;
  }

  Descriptor epoll;
  Wakeup wakeup;
  std::mutex mutex;     // guards the next four
  RequestQueue pushed;  // requests that had more to do when they were parked
  bool woken = false;   // the next wait must return at once
  bool signalled = false;
  std::atomic<bool> has_pushed{false};  // written under the lock, read without it
  std::atomic<Connection*> retired{nullptr};
  std::mutex receivers_mutex;
  std::map<std::uint64_t, Receiver*> receivers;
  std::uint64_t next_key = 1;       // odd, unlike any address
  std::uint64_t last_receiver = 0;  // the key that was served last
};

ParkingLot::ParkingLot() : state_(std::make_unique<State>()) {}

ParkingLot::~ParkingLot() { state_->free_retired(); }

void OwnParkingLot::close() noexcept { state_->close(); }

void OwnParkingLot::renew() {
  auto fresh = std::make_unique<State>();
  state_->close();
  keep_for_ever(state_.release());
  state_ = std::move(fresh);
}

std::size_t ParkingLot::wait(std::span<Request> ready, Deadline deadline) {
  state_->free_retired();
  std::array<epoll_event, 64> room;  // filled by epoll_wait
  // Half of `ready` is kept for events from the poll, however many requests were pushed.
  std::size_t count = state_->take_pushed(ready.first(ready.size() / 2));
  if (state_->has_pushed.load(std::memory_order_acquire) || count > 0)
    deadline = Deadline::Clock::time_point::min();
  const std::size_t most = std::min(room.size(), ready.size() - count);
  std::uint64_t first_receiver = 0;
  std::uint64_t next_receiver = 0;
  for (const epoll_event& event :
       wait_for_events(fileno(), std::span(room).first(most), deadline)) {
    auto* const connection = static_cast<Connection*>(event.data.ptr);
    if (connection == nullptr) {
      state_->set_woken(false);
    } else if ((event.data.u64 & 1U) != 0) {
      const std::uint64_t key = event.data.u64;
      if (first_receiver == 0 || key < first_receiver) first_receiver = key;
      if (key > state_->last_receiver && (next_receiver == 0 || key < next_receiver)) {
        next_receiver = key;
      }
    } else if (connection->edge(event.events)) {
      ready[count++] = RequestAccess::of(*connection);
    }
  }
  // Each wait serves one of several receivers, in turn: epoll reports the others again.
  if (const auto receiver = next_receiver != 0 ? next_receiver : first_receiver; receiver != 0) {
    state_->last_receiver = receiver;
    count += state_->receive(receiver, ready.subspan(count));
  }
  return count + state_->take_pushed(ready.subspan(count));
}

void ParkingLot::wake() noexcept { state_->set_woken(true); }

int ParkingLot::fileno() const noexcept { return state_->epoll.get(); }

void OwnParkingLot::enter(Connection& connection) {
  connection.in_lot.entered = connection.in_lot.registered = true;
  try {
    state_->control(EPOLL_CTL_ADD, connection, input_edges);
  } catch (...) {
    connection.in_lot.entered = connection.in_lot.registered = false;
    throw;
  }
}

void OwnParkingLot::leave(Connection& connection) noexcept {
  connection.in_lot.registered = false;
  epoll_event event{};
  ::epoll_ctl(fileno(), EPOLL_CTL_DEL, connection.socket().fileno(), &event);
}

void OwnParkingLot::want_output(Connection& connection, bool wanted) noexcept {
  connection.in_lot.wants_output = wanted;
  const std::uint32_t output = wanted ? std::uint32_t{EPOLLOUT} : 0U;
  epoll_event event{.events = input_edges | output, .data = {.ptr = &connection}};
  ::epoll_ctl(fileno(), EPOLL_CTL_MOD, connection.socket().fileno(), &event);
}

void OwnParkingLot::retire(Connection* connection) noexcept {
  connection->next_retired = state_->retired.load(std::memory_order_relaxed);
  while (!state_->retired.compare_exchange_weak(
      connection->next_retired, connection, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

void OwnParkingLot::push(Request request) noexcept { state_->push(std::move(request)); }

void OwnParkingLot::add(Receiver& receiver) {
  const std::lock_guard lock(state_->receivers_mutex);
  receiver.key = std::exchange(state_->next_key, state_->next_key + 2);
  state_->receivers.emplace(receiver.key, &receiver);
  epoll_event event{.events = EPOLLIN, .data = {.u64 = receiver.key}};
  if (::epoll_ctl(fileno(), EPOLL_CTL_ADD, receiver.fileno(), &event) != 0) {
    state_->receivers.erase(receiver.key);
    throw_system_error(errno, "epoll_ctl");
  }
}

void OwnParkingLot::remove(Receiver& receiver) noexcept {
  epoll_event event{};
  ::epoll_ctl(fileno(), EPOLL_CTL_DEL, receiver.fileno(), &event);
  const std::lock_guard lock(state_->receivers_mutex);
  state_->receivers.erase(receiver.key);
}

bool OwnParkingLot::arm(Receiver& receiver, bool armed) noexcept {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = receiver.key}};
  const int operation = armed ? EPOLL_CTL_ADD : EPOLL_CTL_DEL;
  return ::epoll_ctl(fileno(), operation, receiver.fileno(), &event) == 0;
}

}  // namespace net
