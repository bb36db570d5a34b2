module;

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

module net.socket;

namespace net {
namespace {

constexpr std::size_t before_name = offsetof(sockaddr_un, sun_path);

Address named(std::string_view name) {
  sockaddr_un native{};
  native.sun_family = AF_UNIX;
  std::ranges::copy(name, native.sun_path);
  return Address::from_native(
      std::as_bytes(std::span(&native, 1)).first(before_name + name.size()));
}

// Returns the content of sun_path in a Unix address; empty for other families.
std::string_view name_of(const Address& address) {
  if (address.family() != Family::unix_domain) return {};
  const auto bytes = address.native().subspan(before_name);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Address Address::unix_path(std::string_view path) {
  if (path.empty()) throw_system_error(EINVAL, "a Unix address with an empty path");
  const std::string call = "Unix address " + std::string(path);
  if (path.find('\0') != std::string_view::npos) throw_system_error(EINVAL, call);
  if (path.size() > sizeof sockaddr_un::sun_path) throw_system_error(ENAMETOOLONG, call);
  return named(path);
}

Address Address::unix_abstract(std::string_view name) {
  if (name.size() >= sizeof sockaddr_un::sun_path) {
    throw_system_error(ENAMETOOLONG, "abstract Unix address");
  }
  return named('\0' + std::string(name));
}

Address Address::unix_unnamed() noexcept { return named({}); }

std::string Address::path() const {
  const auto name = name_of(*this);
  return std::string(name.substr(0, name.find('\0')));
}

std::string Address::abstract_name() const {
  const auto name = name_of(*this);
  return std::string(name.starts_with('\0') ? name.substr(1) : std::string_view());
}

bool Address::unnamed() const noexcept {
  return family() == Family::unix_domain && size_ == before_name;
}

}  // namespace net
