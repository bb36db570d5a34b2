/// \file
/// `net.server:client_table`, internal: how many connections each client has, and how fast it opens
/// them.
module net.server:client_table;

import net.standard;
import net.socket;
import :coarse_clock;
import :options;

namespace net {

class ClientTable;

// A client that a table knows.
struct MeteredClient;

// The place that a connection has among those of its client. Not given back by itself.
class ClientPlace {
 public:
  ClientPlace() noexcept = default;
  // From any thread; once.
  inline void leave() noexcept {
    if (client_ != nullptr) leave_client();
  }

 private:
  friend class ClientTable;
  void leave_client() noexcept;
  MeteredClient* client_ = nullptr;
};

// Admits new connections within the limits of each client. Its memory is bounded: when it knows as
// many clients as it may, and none of them can be forgotten, all others are metered as if they were
// one. A client can be forgotten when it has no connection and might open as many as ever at once.
// From any thread.
class ClientTable {
 public:
  // Unless there are limits, everybody is admitted, unmetered.
  explicit ClientTable(const ClientLimits& limits);
  ClientTable(const ClientTable&) = delete;
  ClientTable& operator=(const ClientTable&) = delete;
  ~ClientTable();

  bool metered() const noexcept { return clients_ != nullptr; }

  enum class Verdict : std::uint8_t { admitted, too_many, too_fast };
  // Gives the new connection a place, if it is admitted. Without memory, it is metered as one of
  // all others.
  Verdict admit(const Address& client, ClientPlace& place) noexcept;
  // How many clients it knows, and what it takes in memory at most, in bytes.
  std::size_t size() const noexcept;
  std::size_t most_memory() const noexcept;

 private:
  friend class ClientPlace;
  friend struct MeteredClient;
  class Clients;
  const ClientLimits limits_;
  std::unique_ptr<Clients> clients_;
};

}  // namespace net
