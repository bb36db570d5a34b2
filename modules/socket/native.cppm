/// \file
/// `net.socket:native`, internal: conversions between the library's values and those of the system.
module;

#include <sys/socket.h>

module net.socket:native;

import net.standard;
import :address;
import :deadline;
import :socket;

namespace net {

// Reads a structure of the system from bytes. Fields beyond the bytes are zero.
template <class Native>
Native read_as(std::span<const std::byte> bytes) {
  Native native{};
  std::memcpy(&native, bytes.data(), std::min(sizeof native, bytes.size()));
  return native;
}

// The kernel's MAX_ADDR_LEN: the longest hardware address that sll_addr can hold.
inline constexpr std::size_t longest_hardware_address = 32;

// The kernel's SCM_MAX_FD: the most descriptors in one message. unix(7).
inline constexpr std::size_t most_descriptors = 253;

// The arguments of bind, connect and similar calls. Only here are bytes cast to a sockaddr.
const sockaddr* native_pointer(const Address& address) noexcept;
socklen_t native_size(const Address& address) noexcept;

int native_family(Family family) noexcept;
Family family_of(int native) noexcept;
int native_type(SocketType type) noexcept;
std::optional<SocketType> type_of(int native) noexcept;

// A timeout for poll, rounded up so that a wait never ends before its deadline; -1 waits forever.
int poll_milliseconds(Deadline deadline) noexcept;

// Storage for an address that a system call returns.
class NativeAddress {
 public:
  sockaddr* pointer() noexcept { return reinterpret_cast<sockaddr*>(&storage_); }
  socklen_t* size() noexcept { return &size_; }
  Address address() const {
    return Address::from_native(std::as_bytes(std::span(&storage_, 1)).first(size_));
  }

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = sizeof storage_;
};

}  // namespace net
