/// \file
/// `net.socket:native`, internal: conversions between the library's values and those of the system.
module net.socket:native;

import net.standard;
import :address;
import :deadline;
import :socket;

extern "C++" struct sockaddr;  // <sys/socket.h>

namespace net {

using SocketLength = std::uint32_t;  // socklen_t

// Reads a structure of the system from bytes. Fields beyond the bytes are zero.
template <class Native>
Native read_as(std::span<const std::byte> bytes) {
  Native native{};
  std::memcpy(&native, bytes.data(), std::min(sizeof native, bytes.size()));
  return native;
}

// The kernel's MAX_ADDR_LEN, in bytes. sll_addr has only 8 bytes: a longer address continues after
// the end of the sockaddr_ll.
inline constexpr std::size_t longest_hardware_address = 32;

// The kernel's SCM_MAX_FD: the most descriptors in one message. unix(7).
inline constexpr std::size_t most_descriptors = 253;

// The address arguments of bind, connect and similar calls.
const sockaddr* native_pointer(const Address& address) noexcept;
SocketLength native_size(const Address& address) noexcept;

int native_family(Family family) noexcept;
Family family_of(int native) noexcept;
int native_type(SocketType type) noexcept;
std::optional<SocketType> type_of(int native) noexcept;

// Returns the timeout for poll(2), in milliseconds; -1 to wait forever. It is rounded up so that a
// wait does not end just before the deadline. It is at most INT_MAX (24 days), so after a longer
// wait the caller must check the deadline.
int poll_milliseconds(Deadline deadline) noexcept;

// Storage for an address that a system call returns.
class NativeAddress {
 public:
  sockaddr* pointer() noexcept { return reinterpret_cast<sockaddr*>(storage_.data()); }
  SocketLength* size() noexcept { return &size_; }
  Address address() const { return Address::from_native(std::span(storage_).first(size_)); }

  static constexpr std::size_t most = 128;  // the size of a sockaddr_storage
  static constexpr std::size_t alignment = 8;

 private:
  alignas(alignment) std::array<std::byte, most> storage_{};
  SocketLength size_ = most;
};

}  // namespace net
