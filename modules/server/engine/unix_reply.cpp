module;

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <optional>
#include <span>

module net.server;

import net.socket;
import :unix_reply;

namespace net {
namespace {

// The user ID that the kernel reports, by default, for a user who has no ID in this user namespace.
constexpr std::uint32_t default_overflow_user = 65534;

struct UserNames {
  std::uint32_t overflow_user = default_overflow_user;
  bool all_known = false;  // every user has an ID here, as in the initial user namespace
};

const UserNames& user_names() noexcept {
  static const UserNames names = [] {
    UserNames found;
    try {
      std::ifstream("/proc/sys/kernel/overflowuid") >> found.overflow_user;
      std::uint32_t inside = 1;
      std::uint32_t outside = 1;
      std::uint32_t count = 0;
      std::ifstream("/proc/self/uid_map") >> inside >> outside >> count;
      found.all_known = inside == 0 && outside == 0 && count == UINT32_MAX;
    } catch (const std::exception&) {
      // Keep the defaults: a sender with the placeholder ID then counts as unknown.
    }
    return found;
  }();
  return names;
}

Descriptor open_path(int directory, const char* path, int flags) noexcept {
  return Descriptor(
      above_standard_streams(::openat(directory, path, O_PATH | O_NOFOLLOW | O_CLOEXEC | flags)));
}

// Does the same as `open_without_links`, one component at a time. With O_DIRECTORY, the call fails
// with ENOTDIR for a symbolic link.
Descriptor walk_without_links(std::span<char> path) noexcept {
  Descriptor at = open_path(AT_FDCWD, "/", O_DIRECTORY);
  char* const end = path.data() + path.size();
  for (char* begin = path.data(); at;) {
    begin = std::find_if(begin, end, [](char letter) { return letter != '/'; });
    char* const slash = std::find(begin, end, '/');
    if (slash == end) return open_path(at.get(), begin, 0);
    *slash = '\0';
    at = open_path(at.get(), begin, O_DIRECTORY);
    begin = slash + 1;
  }
  return at;
}

// Opens the file at an absolute path, if no component is a symbolic link. On failure, errno says
// why.
Descriptor open_without_links(std::span<char> path) noexcept {
  open_how how{};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS;
  const auto opened = ::syscall(SYS_openat2, AT_FDCWD, path.data(), &how, sizeof how);
  if (opened >= 0) return Descriptor(above_standard_streams(static_cast<int>(opened)));
  // The kernel is older than 5.6, or a system call filter does not know the call.
  if (errno == ENOSYS || errno == EPERM) return walk_without_links(path);
  return {};
}

}  // namespace

void pass_credentials(Socket& socket) { socket.setsockopt(SocketOption::pass_credentials, 1); }

bool names_a_user(const PeerCredentials& sender) noexcept {
  const UserNames& names = user_names();
  if (static_cast<std::uint32_t>(sender.user) != names.overflow_user) return true;
  return names.all_known && sender.process != 0;
}

int reply_to_path(int socket, std::span<const std::byte> bytes, const Address& to,
                  const std::optional<PeerCredentials>& sender) noexcept {
  // One byte more than sun_path: a path may fill that without a final NUL.
  std::array<char, sizeof(sockaddr_un::sun_path) + 1> path{};
  const auto name = to.native().subspan(offsetof(sockaddr_un, sun_path));
  std::memcpy(path.data(), name.data(), std::min(name.size(), path.size() - 1));
  if (path.front() != '/' || !sender) return EDESTADDRREQ;
  const Descriptor file = open_without_links(std::span(path).first(std::strlen(path.data())));
  if (!file) return errno;
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return errno;
  if (!S_ISSOCK(status.st_mode)) return ECONNREFUSED;
  if (status.st_uid != static_cast<uid_t>(sender->user)) return EACCES;
  // Sends to the very file that was checked, wherever its path leads by now.
  sockaddr_un through{};
  through.sun_family = AF_UNIX;
  constexpr std::string_view descriptors = "/proc/self/fd/";
  char* const number = std::ranges::copy(descriptors, std::begin(through.sun_path)).out;
  std::to_chars(number, std::end(through.sun_path) - 1, file.get());
  for (;;) {
    if (::sendto(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&through), sizeof through) >= 0) {
      return 0;
    }
    if (errno != EINTR) return errno;
  }
}

}  // namespace net
