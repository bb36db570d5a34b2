// A place as a socket address for system calls. For the .cpp files of clients.
#pragma once

#include <sys/socket.h>

#include "client.hpp"

namespace support {

class Name {
 public:
  // Throws std::system_error if the place is invalid.
  explicit Name(const Place& place);

  sa_family_t family() const noexcept { return storage_.ss_family; }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const noexcept { return size_; }

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

}  // namespace support
