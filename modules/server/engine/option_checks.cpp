module;

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

module net.server;

import net.socket;
import net.handler;
import :shared_page;
import :option_checks;

namespace net {
namespace {

constexpr std::size_t no_bound = std::numeric_limits<std::size_t>::max();
// Larger than any datagram that the kernel delivers. There is a bound because each listener
// allocates as much.
constexpr std::size_t largest_packet = std::size_t{16} * 1024 * 1024;
// More threads would only compete for the cores, so a larger number is probably a typing error.
constexpr std::size_t most_workers = 4096;
// Each client takes about 150 bytes, so this many take 10 GB.
constexpr std::size_t most_clients = std::size_t{1} << 26U;
constexpr unsigned all_permissions = 0777;

[[noreturn]] void refuse(std::string_view option, const std::string& is, const std::string& must) {
  throw_system_error(EINVAL, std::string(option) + " is " + is + ", but must be " + must);
}

void check_count(std::string_view option, std::size_t value, std::size_t least,
                 std::size_t most = no_bound) {
  if (value >= least && value <= most) return;
  refuse(option, std::to_string(value),
         most == no_bound ? std::to_string(least) + " or more"
                          : "from " + std::to_string(least) + " to " + std::to_string(most));
}

void check_time(std::string_view option, std::chrono::milliseconds time) {
  if (time.count() < 0) refuse(option, std::to_string(time.count()) + " ms", "0 ms or more");
}

// A number that was cast to the enumeration may not be one of its values.
void check_overload(std::string_view option, Overload overload) {
  if (overload <= Overload::evict_idle) return;
  refuse(option, std::to_string(static_cast<unsigned>(overload)),
         "wait, reject or evict_idle (0 to 2)");
}

const char* name(ServerKind kind) noexcept {
  switch (kind) {
    case ServerKind::tcp: return "a TCP server";
    case ServerKind::udp: return "a UDP server";
    case ServerKind::unix_stream: return "a Unix stream server";
    case ServerKind::unix_datagram: return "a Unix datagram server";
    case ServerKind::packet: break;
  }
  return "a packet server";
}

[[noreturn]] void refuse_for(ServerKind kind, std::string_view option, std::string_view why) {
  throw_system_error(
      EINVAL, std::string(option) + " is set for " + name(kind) + ", but " + std::string(why));
}

std::string octal(unsigned number) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%#o", number);
  return text.data();
}

void check_unix_mode(const ServerOptions& options, ServerKind kind,
                     std::span<const Address> addresses) {
  if (!options.unix_mode) return;
  if (*options.unix_mode > all_permissions) {
    refuse("unix_mode", octal(*options.unix_mode), "from 0 to 0777 (octal)");
  }
  if (kind != ServerKind::unix_stream && kind != ServerKind::unix_datagram) {
    refuse_for(kind, "unix_mode", "only a Unix socket has a file");
  }
  // An abstract name has no file, so every user of the host can connect to it. `unix_mode` must not
  // seem to protect it.
  const auto has_path = [](const Address& address) { return !address.path().empty(); };
  if (addresses.empty() || !std::ranges::all_of(addresses, has_path)) {
    refuse_for(kind, "unix_mode", "only an address with a path has a file that the server makes");
  }
}

void check_dualstack(const ServerOptions& options, ServerKind kind,
                     std::span<const Address> addresses) {
  if (!options.dualstack) return;
  const auto is_ipv6 = [](const Address& address) { return address.family() == Family::ipv6; };
  const bool internet = kind == ServerKind::tcp || kind == ServerKind::udp;
  if (internet && (addresses.empty() || std::ranges::any_of(addresses, is_ipv6))) return;
  refuse_for(kind, "dualstack", "it needs an IPv6 address to bind, such as [::]");
}

void check_proxy_protocol(const ServerOptions& options, ServerKind kind) {
  if (!options.proxy_protocol) return;
  if (!is_stream(kind)) refuse_for(kind, "proxy_protocol", "only connections have a header");
  const auto& [trusted, time] = *options.proxy_protocol;
  if (time.count() < 1) {
    refuse("proxy_protocol.header_timeout", std::to_string(time.count()) + " ms", "1 ms or more");
  }
  if (kind == ServerKind::tcp && trusted.empty()) {
    refuse("proxy_protocol.trusted", "empty", "the networks of the proxies: nobody else is served");
  }
}

void check_per_client(const ClientLimits& limits, ServerKind kind) {
  check_count("per_client.ipv4_bits", limits.ipv4_bits, 0, 32);
  check_count("per_client.ipv6_bits", limits.ipv6_bits, 0, 128);
  check_count("per_client.most_clients", limits.most_clients, 1, most_clients);
  const auto is_number = [](double value, double least) { return value >= least && value <= 1e9; };
  if (!is_number(limits.per_second, 0)) {
    refuse("per_client.per_second", std::to_string(limits.per_second), "from 0 to 1e9");
  }
  if (!is_number(limits.burst, 1)) {
    refuse("per_client.burst", std::to_string(limits.burst), "from 1 to 1e9");
  }
  if (limits.any() && !is_stream(kind)) {
    refuse_for(kind, "per_client", "only connections are bounded by their client");
  }
}

}  // namespace

void check(const ServerOptions& options, ServerKind kind, std::span<const Address> addresses) {
  for (const Address& address : addresses) {
    if (!fits(kind, address.family())) throw_misfit(kind, address.to_string());
  }
  check(options.limits);
  check_time("drain", options.drain);
  check_time("quiet_grace", options.quiet_grace);
  check_time("linger", options.linger);
  if (options.timeout) check_time("timeout", *options.timeout);
  check_count("max_packet_size", options.max_packet_size, 1, largest_packet);
  check_count("max_request_size", options.max_request_size, 1);
  check_overload("overload", options.overload);
  check_unix_mode(options, kind, addresses);
  check_dualstack(options, kind, addresses);
  check_proxy_protocol(options, kind);
  check_per_client(options.per_client, kind);
  if (options.link_header && kind != ServerKind::packet) {
    refuse_for(kind, "link_header", "only a packet server receives frames");
  }
}

void check(const ThreadPool::Options& options) {
  check_count("ThreadPool::Options::workers", options.workers, 0, most_workers);
  check_overload("ThreadPool::Options::overload", options.overload);
}

void check(const ThreadPerRequest::Options& options) {
  check_count("ThreadPerRequest::Options::max_threads", options.max_threads, 1);
  check_time("ThreadPerRequest::Options::keep", options.keep);
  check_overload("ThreadPerRequest::Options::overload", options.overload);
}

void check(const ForkPerRequest::Options& options) {
  check_count("ForkPerRequest::Options::max_children", options.max_children, 1, most_children);
  check_overload("ForkPerRequest::Options::overload", options.overload);
}

void check_poll_interval(std::chrono::milliseconds interval) {
  check_time("the poll interval of serve_forever", interval);
}

void AnyServerParts::check_options() const { check(options, kind, addresses); }

bool fits(ServerKind kind, Family family) noexcept {
  switch (kind) {
    case ServerKind::tcp:
    case ServerKind::udp: return family == Family::ipv4 || family == Family::ipv6;
    case ServerKind::unix_stream:
    case ServerKind::unix_datagram: return family == Family::unix_domain;
    case ServerKind::packet: return family == Family::packet;
  }
  return false;
}

void throw_misfit(ServerKind kind, const std::string& what) {
  throw_system_error(EINVAL, std::string(name(kind)) + " cannot serve " + what);
}

}  // namespace net
