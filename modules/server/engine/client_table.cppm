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

// Counts a connection as one of its client's. Only `leave` gives the place back, not the
// destructor.
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

// Admits new connections within the limits of each client. Its memory is bounded: when the table is
// full, and no client can be forgotten, all other clients are metered as if they were one. A client
// can be forgotten when it has no connection and its full burst is available again. From any
// thread.
class ClientTable {
 public:
  // Without limits, the table meters no client: `metered` is false, and `admit` must not be called.
  explicit ClientTable(const ClientLimits& limits);
  ClientTable(const ClientTable&) = delete;
  ClientTable& operator=(const ClientTable&) = delete;
  ~ClientTable();

  bool metered() const noexcept { return clients_ != nullptr; }

  enum class Verdict : std::uint8_t { admitted, too_many, too_fast };
  // Gives the new connection a place if it is admitted and its client has limits. If there is no
  // memory for another client, the client is metered together with all others that the table does
  // not know. Precondition: `metered`.
  Verdict admit(const Address& client, ClientPlace& place) noexcept;
  // Return the number of clients that the table knows, and the most memory that it can take, in
  // bytes.
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
