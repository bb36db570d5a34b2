module;

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

module net.server;

import net.socket;
import :poller;
import :socket_file;

namespace net {
namespace {

// Two servers that start at once must not take each other's file for a dead one's. Nothing is left
// in the directory. Who may not read it, or meets somebody who holds it for good, starts without.
Descriptor hold_directory(const std::filesystem::path& path) {
  Descriptor directory(above_standard_streams(
      ::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  const Deadline patience(std::chrono::seconds(1));
  while (directory && ::flock(directory.get(), LOCK_EX | LOCK_NB) != 0 && !patience.passed()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return directory;
}

// Whether a socket has that name that nobody holds any more. A datagram socket cannot connect to
// one of a stream, but learns whether it is there: even one that does not listen yet, and nobody
// has to accept it.
bool is_dead(const std::string& path, const Address& address) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  Socket probe(Family::unix_domain, SocketType::datagram);
  try {
    probe.connect(address, Deadline::Clock::time_point::min());
    return false;
  } catch (const std::system_error& error) {
    return error.code() == std::errc::connection_refused;
  }
}

}  // namespace

SocketFile::SocketFile(SocketFile&& other) noexcept { *this = std::move(other); }

SocketFile& SocketFile::operator=(SocketFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(device_, other.device_);
  std::swap(number_, other.number_);
  return *this;
}

SocketFile SocketFile::bind(Socket& socket, const std::string& path, std::optional<unsigned> mode,
                            const std::function<void()>& bind) {
  const std::filesystem::path absolute = std::filesystem::absolute(path);
  const Descriptor directory = hold_directory(absolute);
  if (is_dead(path, Address::unix_path(path))) ::unlink(path.c_str());
  // The file is made with the permissions of the socket, less the umask: at no time with more than
  // those asked for.
  if (mode && ::fchmod(socket.fileno(), *mode) != 0) throw_system_error(errno, "fchmod");
  bind();
  struct stat status{};
  if (socket.getsockname().path() != path) return {};  // a hook has bound it elsewhere
  if (::lstat(path.c_str(), &status) != 0) return {};
  SocketFile file;
  file.path_ = absolute.string();
  file.device_ = status.st_dev;
  file.number_ = status.st_ino;
  if (mode && ::chmod(path.c_str(), *mode) != 0) throw_system_error(errno, "chmod " + path);
  return file;
}

void SocketFile::remove() noexcept {
  if (path_.empty()) return;
  struct stat status{};
  if (::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ &&
      status.st_ino == number_) {
    ::unlink(path_.c_str());
  }
  path_.clear();
}

}  // namespace net
