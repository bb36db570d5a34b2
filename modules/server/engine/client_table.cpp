module;

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string_view>
#include <unordered_map>
#include <utility>

module net.server;

import net.socket;
import :client_table;
import :coarse_clock;

namespace net {
namespace {

constexpr double nanoseconds_per_second = 1e9;

// The network of a client: a sockaddr_in or sockaddr_in6 without what may differ within the
// network.
using Key = std::array<std::byte, 28>;

Key key_of(const Address& client, const ClientLimits& limits) {
  const Address network = network_of(client, limits.ipv4_bits, limits.ipv6_bits);
  Key key{};
  std::ranges::copy(network.native().first(std::min(network.native().size(), key.size())),
                    key.begin());
  return key;
}

// The seed is drawn for each table, so an attacker cannot know which clients share a bucket.
struct KeyedHash {
  std::uint64_t seed;
  std::size_t operator()(const Key& key) const noexcept {
    std::uint64_t hash = seed;
    for (std::size_t at = 0; at < key.size(); at += 4) {
      std::uint32_t word = 0;
      std::memcpy(&word, key.data() + at, sizeof word);
      // The rounds of MurmurHash3's finalizer, after each word.
      hash ^= word;
      hash ^= hash >> 33U;
      hash *= 0xff51afd7ed558ccdU;
      hash ^= hash >> 33U;
      hash *= 0xc4ceb9fe1a85ec53U;
      hash ^= hash >> 33U;
    }
    return hash;
  }
};

std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32U | device();
}

}  // namespace

struct MeteredClient {
  ClientTable::Clients* table = nullptr;
  const Key* key = nullptr;  // null for the entry of all other clients
  double tokens = 0;         // connections that it may open at once
  CoarseTime since = 0;      // when `tokens` was computed
  std::size_t connections = 0;
  // Links the clients without a connection, in the order in which they lost their last connection
  // or were last rejected.
  MeteredClient* before = nullptr;
  MeteredClient* behind = nullptr;
};

class ClientTable::Clients {
 public:
  explicit Clients(const ClientLimits& limits)
      : limits_(limits), known_(0, KeyedHash{random_seed()}) {
    ends_.before = ends_.behind = &ends_;
    others_.table = this;
    others_.tokens = burst();
    known_.reserve(limits.most_clients);
  }

  Verdict admit(const Address& address, MeteredClient*& place) {
    const CoarseTime now = coarse_now();
    const std::lock_guard lock(mutex_);
    MeteredClient& client = find(address, now);
    refill(client, now);
    if (limits_.connections != 0 && client.connections >= limits_.connections) {
      return Verdict::too_many;
    }
    if (limits_.per_second != 0) {
      if (client.tokens < 1) {
        if (client.connections == 0) wait_to_be_forgotten(client);
        return Verdict::too_fast;
      }
      client.tokens -= 1;
    }
    if (client.connections++ == 0) unlink(client);
    place = &client;
    return Verdict::admitted;
  }

  void leave(MeteredClient& client) noexcept {
    const std::lock_guard lock(mutex_);
    if (--client.connections == 0) wait_to_be_forgotten(client);
  }

  std::size_t size() const noexcept {
    const std::lock_guard lock(mutex_);
    return known_.size();
  }

  // Besides the pair, a node has a link and perhaps its hash, and its allocation takes two words
  // more. The last word is for its bucket.
  static constexpr std::size_t memory_of_one =
      sizeof(std::pair<const Key, MeteredClient>) + 4 * sizeof(void*) + sizeof(void*);

 private:
  double burst() const noexcept { return std::max(limits_.burst, 1.0); }

  MeteredClient& find(const Address& address, CoarseTime now) {
    const Key key = key_of(address, limits_);
    if (const auto found = known_.find(key); found != known_.end()) return found->second;
    if (known_.size() >= limits_.most_clients && !forget_one(now)) return others_;
    try {
      const auto added = known_.try_emplace(key).first;
      added->second.table = this;
      added->second.key = &added->first;
      added->second.tokens = burst();
      added->second.since = now;
      return added->second;
    } catch (const std::exception&) {
      return others_;  // no memory for another client
    }
  }

  void refill(MeteredClient& client, CoarseTime now) const noexcept {
    const double seconds =
        static_cast<double>(std::max<CoarseTime>(now - client.since, 0)) / nanoseconds_per_second;
    client.tokens = std::min(client.tokens + seconds * limits_.per_second, burst());
    client.since = now;
  }

  bool forget_one(CoarseTime now) noexcept {
    MeteredClient& oldest = *ends_.behind;
    if (&oldest == &ends_) return false;
    refill(oldest, now);
    if (limits_.per_second != 0 && oldest.tokens < burst()) return false;
    unlink(oldest);
    known_.erase(known_.find(*oldest.key));
    return true;
  }

  void wait_to_be_forgotten(MeteredClient& client) noexcept {
    if (client.key == nullptr) return;
    unlink(client);
    client.before = ends_.before;
    client.behind = &ends_;
    ends_.before->behind = &client;
    ends_.before = &client;
  }

  static void unlink(MeteredClient& client) noexcept {
    if (client.behind == nullptr) return;
    client.before->behind = client.behind;
    client.behind->before = client.before;
    client.before = client.behind = nullptr;
  }

  const ClientLimits& limits_;
  mutable std::mutex mutex_;
  std::unordered_map<Key, MeteredClient, KeyedHash> known_;
  MeteredClient ends_;    // the list of clients that may be forgotten; `behind` is the oldest
  MeteredClient others_;  // meters all clients that are not in `known_`
};

ClientTable::ClientTable(const ClientLimits& limits) : limits_(limits) {
  if (limits.any()) clients_ = std::make_unique<Clients>(limits_);
}

ClientTable::~ClientTable() = default;

ClientTable::Verdict ClientTable::admit(const Address& client, ClientPlace& place) noexcept {
  const bool internet = client.family() == Family::ipv4 || client.family() == Family::ipv6;
  if (!internet || limits_.exempt.contains(client)) return Verdict::admitted;
  return clients_->admit(client, place.client_);
}

std::size_t ClientTable::size() const noexcept { return clients_ ? clients_->size() : 0; }

std::size_t ClientTable::most_memory() const noexcept {
  return clients_ ? sizeof(Clients) + limits_.most_clients * Clients::memory_of_one : 0;
}

void ClientPlace::leave_client() noexcept {
  MeteredClient& client = *std::exchange(client_, nullptr);
  client.table->leave(client);
}

}  // namespace net
