module;

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

module net.socket;

import :native;

namespace net {

std::vector<Address> resolve(std::string_view host, std::uint16_t port,
                             const ResolveOptions& options) {
  std::string name(host);
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') {
    name = name.substr(1, name.size() - 2);
  }
  if (name.find('\0') != std::string::npos) throw_system_error(EINVAL, "resolve \"" + name + '"');
  addrinfo hints{};
  hints.ai_family = native_family(options.family);
  hints.ai_socktype = native_type(options.type);
  hints.ai_flags = options.passive ? AI_PASSIVE : 0;
  addrinfo* first = nullptr;
  const std::string service = std::to_string(port);
  const int code =
      ::getaddrinfo(name.empty() ? nullptr : name.c_str(), service.c_str(), &hints, &first);
  if (code == EAI_SYSTEM) throw_system_error(errno, "resolve \"" + name + '"');
  if (code != 0) throw std::system_error(code, resolver_category(), "resolve \"" + name + '"');
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(first, &::freeaddrinfo);

  std::vector<Address> addresses;
  for (const addrinfo* entry = first; entry != nullptr; entry = entry->ai_next) {
    const auto address = Address::from_native(
        {reinterpret_cast<const std::byte*>(entry->ai_addr), entry->ai_addrlen});
    if (std::ranges::find(addresses, address) == addresses.end()) addresses.push_back(address);
  }
  return addresses;
}

Socket create_server(const Address& address, const ListenOptions& options) {
  if (options.dualstack && address.family() == Family::ipv4) {
    throw_system_error(EINVAL, "dualstack is set for " + address.to_string() +
                                   ", but it needs an IPv6 address, such as [::]");
  }
  Socket listener(address.family());
  if (address.family() != Family::unix_domain) {
    listener.setsockopt(SocketOption::reuse_address, 1);
    if (options.reuse_port) listener.setsockopt(SocketOption::reuse_port, 1);
  }
  if (address.family() == Family::ipv6) {
    listener.setsockopt(SocketOption::ipv6_only, options.dualstack ? 0 : 1);
  }
  listener.bind(address);
  listener.listen(options.backlog);
  return listener;
}

bool has_dualstack_ipv6() noexcept {
  try {
    Socket(Family::ipv6).setsockopt(SocketOption::ipv6_only, 0);
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

Socket create_connection(const Address& address, Deadline deadline, const ConnectOptions& options) {
  Socket connection(address.family());
  if (options.source) connection.bind(*options.source);
  connection.connect(address, deadline);
  return connection;
}

Socket create_connection(std::string_view host, std::uint16_t port, Deadline deadline,
                         const ConnectOptions& options) {
  const Family family = options.source ? options.source->family() : Family::unspecified;
  std::vector<std::system_error> errors;
  for (const Address& address : resolve(host, port, {.family = family})) {
    try {
      return create_connection(address, deadline, options);
    } catch (const std::system_error& error) {
      if (error.code() == std::errc::timed_out && deadline.passed()) throw;
      errors.push_back(error);
    }
  }
  throw ConnectError(std::move(errors));
}

}  // namespace net
