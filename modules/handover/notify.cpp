module;

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <gsl/assert>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

module net.handover;

import net.socket;

// The communication between a service and its service manager.

namespace net {
namespace {

constexpr int first_inherited = 3;

std::string_view variable(const char* name) noexcept {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

template <class Number>
std::optional<Number> number(std::string_view text) noexcept {
  Number value{};
  const auto* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

// Returns whether the variable contains the ID of this process. Otherwise, it and the variables
// with it were meant for another process, from which this one inherited its environment.
bool is_for_us(const char* name) noexcept {
  const auto process = number<int>(variable(name));
  return process && *process == ::getpid();
}

bool send_to_manager(std::string_view state, std::span<const int> descriptors) noexcept {
  const std::string_view path = variable("NOTIFY_SOCKET");
  sockaddr_un name{};
  if (path.size() < 2 || path.size() > sizeof name.sun_path) return false;
  if (path.front() != '/' && path.front() != '@') return false;
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, path.size());
  auto size = offsetof(sockaddr_un, sun_path) + path.size();
  if (path.front() == '@') {
    name.sun_path[0] = '\0';
  } else if (path.size() < sizeof name.sun_path) {
    ++size;
  }
  const Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return false;
  iovec text{.iov_base = const_cast<char*>(state.data()), .iov_len = state.size()};
  msghdr message{};
  message.msg_name = &name;
  message.msg_namelen = static_cast<socklen_t>(size);
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    Ensures(header != nullptr);  // `control` is large enough
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof(int));
  }
  return ::sendmsg(socket.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

}  // namespace

std::vector<InheritedDescriptor> inherited_descriptors() {
  const bool for_us = is_for_us("LISTEN_PID");
  const std::string count_text(variable("LISTEN_FDS"));
  const std::string names(variable("LISTEN_FDNAMES"));
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  std::vector<InheritedDescriptor> all;
  if (!for_us || count_text.empty()) return all;
  const auto count = number<int>(count_text);
  if (!count || *count < 0 || *count > std::numeric_limits<int>::max() - first_inherited) {
    throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                            "LISTEN_FDS=" + count_text + " is no number of descriptors");
  }
  std::string_view left = names;
  for (int i = 0; i < *count; ++i) {
    const std::string_view name = left.substr(0, left.find(':'));
    left.remove_prefix(std::min(name.size() + 1, left.size()));
    all.push_back({first_inherited + i, std::string(name)});
    if (::fcntl(all.back().number, F_SETFD, FD_CLOEXEC) != 0) break;
  }
  return all;
}

std::vector<Heirloom> inherited_sockets() {
  std::vector<std::pair<Descriptor, std::string>> owned;  // closes those that are not adopted
  std::vector<InheritedDescriptor> inherited = inherited_descriptors();
  owned.reserve(inherited.size());
  for (InheritedDescriptor& each : inherited) {
    owned.emplace_back(Descriptor(each.number), std::move(each.name));
  }
  std::vector<Heirloom> sockets;
  sockets.reserve(owned.size());
  for (auto& [descriptor, name] : owned) {
    sockets.push_back({Socket::adopt(std::move(descriptor)), std::move(name)});
  }
  return sockets;
}

bool notify(std::string_view state) noexcept { return send_to_manager(state, {}); }

bool store_sockets(std::span<const Heirloom> sockets) noexcept {
  bool stored = !sockets.empty();
  for (const Heirloom& heirloom : sockets) {
    const int descriptor = heirloom.socket.fileno();
    stored &= send_to_manager("FDSTORE=1\nFDNAME=" + heirloom.name, std::span(&descriptor, 1));
  }
  return stored;
}

bool notify_ready() noexcept {
  bool told = false;
  const auto pipe = number<int>(variable("NETSERVE_READY_FD"));
  const bool for_us = is_for_us("NETSERVE_READY_PID");
  // The variables stay: other threads may read the environment now.
  static std::atomic<bool> done{false};
  if (pipe && for_us && !done.exchange(true)) {
    struct stat status{};
    if (*pipe > STDERR_FILENO && ::fstat(*pipe, &status) == 0 && S_ISFIFO(status.st_mode)) {
      told = write_without_signals(*pipe, bytes(std::string_view("R"))) == 1;
      ::close(*pipe);
    }
  }
  return notify("READY=1\nMAINPID=" + std::to_string(::getpid())) || told;
}

std::optional<std::chrono::milliseconds> watchdog_interval() noexcept {
  const auto microseconds = number<std::uint64_t>(variable("WATCHDOG_USEC"));
  const bool for_us = variable("WATCHDOG_PID").empty() || is_for_us("WATCHDOG_PID");
  constexpr std::uint64_t longest = std::uint64_t{24} * 3600 * 1'000'000;
  if (!microseconds || *microseconds == 0 || !for_us) return std::nullopt;
  const auto half = std::min(*microseconds, longest) / 2000;
  return std::chrono::milliseconds(std::max<std::uint64_t>(half, 1));
}

}  // namespace net
