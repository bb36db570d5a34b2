module;

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

module net.socket;

namespace net {

std::vector<Address> resolve(std::string_view host, std::uint16_t port,
                             const ResolveOptions& options) {
  std::string name(host);
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') {
    name = name.substr(1, name.size() - 2);
  }
  if (name.find('\0') != std::string::npos) throw_system_error(EINVAL, "resolve \"" + name + '"');
  addrinfo hints{};
  hints.ai_family = options.family == Family::ipv4   ? AF_INET
                    : options.family == Family::ipv6 ? AF_INET6
                                                     : AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
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
  Socket listener(address.family());
  listener.setsockopt(SocketOption::reuse_address, 1);
  if (options.reuse_port) listener.setsockopt(SocketOption::reuse_port, 1);
  if (address.family() == Family::ipv6) {
    listener.setsockopt(SocketOption::ipv6_only, options.dualstack ? 0 : 1);
  }
  listener.bind(address);
  listener.listen(options.backlog);
  return listener;
}

Socket create_connection(const Address& address, Deadline deadline) {
  Socket connection(address.family());
  connection.connect(address, deadline);
  return connection;
}

Socket create_connection(std::string_view host, std::uint16_t port, Deadline deadline) {
  std::exception_ptr last;
  for (const Address& address : resolve(host, port)) {
    try {
      return create_connection(address, deadline);
    } catch (const std::system_error&) {
      last = std::current_exception();
    }
  }
  std::rethrow_exception(last);
}

}  // namespace net
