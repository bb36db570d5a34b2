/// \file
/// `net.server:registry`, internal: the connections of a server.
module net.server:registry;

import net.standard;
import :connection;
import :poller;

namespace net {

// A list of the connections from accept to close, and the number of those not wholly ended. The
// number falls last: when it is zero, nothing of the server is in anybody's hand.
class Registry {
 public:
  // The rest under this lock, but for size and done.
  std::mutex mutex;

  inline void add(Connection& connection) noexcept {
    connection.next = first_;
    if (first_ != nullptr) first_->previous = &connection;
    first_ = &connection;
    size_.fetch_add(1);
  }

  inline void unlink(Connection& connection) noexcept {
    (connection.previous != nullptr ? connection.previous->next : first_) = connection.next;
    if (connection.next != nullptr) connection.next->previous = connection.previous;
  }

  template <class F>
  void for_each(F function) {
    for (Connection *connection = first_, *next = nullptr; connection != nullptr;
         connection = next) {
      next = connection->next;
      function(*connection);
    }
  }

  inline std::size_t size() const noexcept { return size_.load(); }

  // Counts a connection out. `notify` is called under the lock, so that whoever sees zero and takes
  // the lock once knows that this is over.
  template <class F>
  void done(F notify) noexcept {
    const std::lock_guard lock(mutex);
    notify(size_.fetch_sub(1) - 1);
  }

 private:
  Connection* first_ = nullptr;
  std::atomic<std::size_t> size_{0};
};

}  // namespace net
