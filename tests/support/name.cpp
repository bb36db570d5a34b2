#include "name.hpp"

#include <netdb.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <system_error>

namespace support {

Name::Name(const Place& place) {
  const auto refuse = [](const std::string& what) {
    throw std::system_error(EINVAL, std::generic_category(), what);
  };
  if (!place.path.empty()) {
    sockaddr_un name{};
    if (place.path.size() > sizeof name.sun_path) refuse(place.path);
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, place.path.data(), place.path.size());
    if (place.path.front() == '@') name.sun_path[0] = '\0';
    std::memcpy(&storage_, &name, sizeof name);
    size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + place.path.size());
    return;
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  if (::getaddrinfo(place.host.c_str(), std::to_string(place.port).c_str(), &hints, &found) != 0) {
    refuse(place.host);
  }
  std::memcpy(&storage_, found->ai_addr, found->ai_addrlen);
  size_ = found->ai_addrlen;
  ::freeaddrinfo(found);
}

}  // namespace support
