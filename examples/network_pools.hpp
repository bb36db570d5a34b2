// Separate threads for each client network, so that one network cannot occupy those of the others.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "workers.hpp"

class NetworkPools {
 public:
  struct Options {
    std::size_t workers = 2;  // for each network
    unsigned ipv4_bits = 24;
    unsigned ipv6_bits = 64;
    std::size_t most_networks = 64;  // later networks share one pool
  };
  NetworkPools(Options options, net::PolicyContext&) : options_(options) {}

  void start() {
    static_cast<void>(state_.release());  // after a fork, its threads are only in the parent
    state_ = std::make_unique<State>();
  }

  void process(net::Request request) {
    const auto network = net::network_of(request.peer(), options_.ipv4_bits, options_.ipv6_bits);
    const std::lock_guard lock(state_->mutex);
    pool_of(network.to_string()).push(std::move(request));
  }
  void expire() {
    for (Workers<>* const pool : all_pools()) pool->expire();
  }
  net::PolicyLoad load() const {
    net::PolicyLoad sum{.most = options_.workers * (options_.most_networks + 1)};
    const std::lock_guard lock(state_->mutex);
    for (const auto& [network, pool] : state_->pools) {
      const net::PolicyLoad load = pool->load();
      sum.waiting += load.waiting;
      sum.workers += load.workers;
      sum.busy += load.busy;
    }
    return sum;
  }
  net::DrainReport drain(net::Deadline deadline) {
    net::DrainReport report;
    if (!state_) return report;
    // Asks all pools to end before it waits for the first one.
    for (Workers<>* const pool : all_pools()) pool->stop(net::Deadline(std::chrono::seconds(0)));
    for (Workers<>* const pool : all_pools()) report.stuck += pool->stop(deadline);
    return report;
  }

 private:
  struct State {
    std::mutex mutex;
    std::map<std::string, std::unique_ptr<Workers<>>> pools;
  };

  // If the system has no threads for a new pool, this throws, and the server drops the request.
  Workers<>& pool_of(const std::string& network) {
    const auto& known = state_->pools;
    const bool full = known.size() >= options_.most_networks && !known.contains(network);
    auto& pool = state_->pools[full ? "the others" : network];
    if (!pool) pool = std::make_unique<Workers<>>(options_.workers);
    return *pool;
  }

  // The pools stay until the end, so waiting for one needs no lock.
  std::vector<Workers<>*> all_pools() {
    std::vector<Workers<>*> all;
    const std::lock_guard lock(state_->mutex);
    for (const auto& [network, pool] : state_->pools) all.push_back(pool.get());
    return all;
  }

  const Options options_;
  std::unique_ptr<State> state_;
};
