/// \file
/// `net.socket:native`, internal: our values as the system has them, and back.
module;

#include <sys/socket.h>

module net.socket:native;

import net.standard;
import :address;
import :deadline;
import :socket;

namespace net {

// Reads a structure of the system from bytes; what they do not fill is zero.
template <class Native>
Native read_as(std::span<const std::byte> bytes) {
  Native native{};
  std::memcpy(&native, bytes.data(), std::min(sizeof native, bytes.size()));
  return native;
}

// MAX_ADDR_LEN of the kernel, the most that sll_addr may be followed by.
inline constexpr std::size_t longest_hardware_address = 32;

// SCM_MAX_FD of the kernel, the most descriptors of a message: unix(7).
inline constexpr std::size_t most_descriptors = 253;

// What bind, connect and their like take; the one place where bytes become a sockaddr.
const sockaddr* native_pointer(const Address& address) noexcept;
socklen_t native_size(const Address& address) noexcept;

int native_family(Family family) noexcept;
Family family_of(int native) noexcept;
int native_type(SocketType type) noexcept;
std::optional<SocketType> type_of(int native) noexcept;

// poll's timeout, rounded up so that a wait never ends before its deadline; -1 is for ever.
int poll_milliseconds(Deadline deadline) noexcept;

// Room for an address that a call stores.
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
