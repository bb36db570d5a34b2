module;

#include <fcntl.h>
#include <linux/un.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <filesystem>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

module net.server;

import net.socket;
import :forked;
import :poller;
import :socket_file;

namespace net {
namespace {

// Locks the directory, so that two servers that start at once do not take each other's file for a
// dead server's. Creates no lock file. If the directory cannot be opened, or stays locked for a
// second, the caller continues without the lock.
Descriptor hold_directory(const std::filesystem::path& path) {
  Descriptor directory(above_standard_streams(
      ::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  const Deadline patience(std::chrono::seconds(1));
  while (directory && ::flock(directory.get(), LOCK_EX | LOCK_NB) != 0 && !patience.passed()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return directory;
}

// Returns whether the path is a socket file whose socket no process holds any more. The probe is a
// datagram socket: it cannot connect to a stream socket, but the error shows whether one is there,
// even one that does not listen yet. So a live server gets no connection that it has to accept.
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

// Opens the file that the socket is bound to. With CAP_NET_ADMIN, the kernel opens that very file.
// Without CAP_NET_ADMIN, this function opens the file that has the path now, but follows no
// symbolic link there.
Descriptor open_bound(const Socket& socket, const std::string& path) noexcept {
  const int told = ::ioctl(socket.fileno(), SIOCUNIXFILE);
  return Descriptor(above_standard_streams(
      told >= 0 ? told : ::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)));
}

// Changes the mode by the descriptor, as the path may name another file by now.
void change_mode(const Descriptor& file, const std::string& path, unsigned mode) {
  const std::string through = "/proc/self/fd/" + std::to_string(file.get());
  if (::chmod(through.c_str(), mode) != 0) {
    throw_system_error(errno, "chmod " + path + " by " + through);
  }
}

}  // namespace

struct SocketFile::Holders {
  std::atomic<unsigned> have_served{0};  // how many processes
  std::atomic<int> maker{0};             // its process ID; 0 once it has closed the file
};

SocketFile::SocketFile(SocketFile&& other) noexcept { *this = std::move(other); }

SocketFile& SocketFile::operator=(SocketFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(device_, other.device_);
  std::swap(number_, other.number_);
  std::swap(holders_, other.holders_);
  shared_.store(other.shared_.exchange(shared_.load()));
  std::swap(made_in_, other.made_in_);
  std::swap(served_in_, other.served_in_);
  return *this;
}

SocketFile::~SocketFile() {
  remove(false, [] {});
  if (holders_ != nullptr) ::munmap(holders_, sizeof(Holders));
}

SocketFile SocketFile::bind(Socket& socket, const std::string& path, std::optional<unsigned> mode,
                            const std::function<void()>& bind) {
  const std::filesystem::path absolute = std::filesystem::absolute(path);
  const Descriptor directory = hold_directory(absolute);
  if (is_dead(path, Address::unix_path(path))) ::unlink(path.c_str());
  // The kernel makes the file with the permissions of the socket, less the umask. So the file never
  // has more permissions than `mode`.
  if (mode && ::fchmod(socket.fileno(), *mode) != 0) throw_system_error(errno, "fchmod");
  bind();
  if (socket.getsockname().path() != path) return {};  // a hook has bound it elsewhere
  const Descriptor opened = open_bound(socket, path);
  if (!opened && errno == ENOENT) return {};
  SocketFile file = of(opened, path);
  struct stat status{};
  if (mode && opened.get() >= 0 && !file.path_.empty() && ::fstat(opened.get(), &status) == 0 &&
      (status.st_mode & 0777U) != *mode) {
    change_mode(opened, path, *mode);
  }
  return file;
}

SocketFile SocketFile::adopt(const Socket& socket) {
  const std::string path = socket.getsockname().path();
  if (path.empty()) return {};
  const Descriptor opened = open_bound(socket, path);
  if (!opened) return {};
  SocketFile file = of(opened, path);
  file.share();
  return file;
}

SocketFile SocketFile::of(const Descriptor& opened, const std::string& path) {
  struct stat status{};
  if (opened.get() < 0 || ::fstat(opened.get(), &status) != 0) {
    throw_system_error(errno, "open " + path);
  }
  // The file was removed, or replaced by one that is no socket or that has another name too.
  if (!S_ISSOCK(status.st_mode) || status.st_nlink != 1) return {};
  SocketFile file;
  void* const memory =
      ::mmap(nullptr, sizeof(Holders), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw_system_error(errno, "mmap");
  file.holders_ = new (memory) Holders;
  file.holders_->maker.store(::getpid());
  file.made_in_ = this_process();
  file.path_ = std::filesystem::absolute(path).string();
  file.device_ = status.st_dev;
  file.number_ = status.st_ino;
  return file;
}

void SocketFile::note_serving() noexcept {
  if (path_.empty() || served_in_ == this_process()) return;
  served_in_ = this_process();
  holders_->have_served.fetch_add(1);
}

void SocketFile::remove(bool forked, const std::function<void()>& close) noexcept {
  if (path_.empty() || !ours()) {
    close();
  } else if (others_may_need_it(forked)) {
    close();
    remove_if_dead();
  } else {
    // Unlink before the socket closes: afterwards, another server might take the file for a dead
    // server's.
    unlink();
    close();
  }
  if (made_in_ == this_process() && holders_ != nullptr) holders_->maker.store(0);
  path_.clear();
}

bool SocketFile::ours() const noexcept {
  return made_in_ == this_process() || served_in_ == this_process();
}

bool SocketFile::others_may_need_it(bool forked) const noexcept {
  const unsigned servers_here = served_in_ == this_process() ? 1 : 0;
  if (forked || shared_.load() || holders_->have_served.load() > servers_here) return true;
  if (made_in_ == this_process()) return false;
  const int maker = holders_->maker.load();
  return maker != 0 && (::kill(maker, 0) == 0 || errno != ESRCH);
}

void SocketFile::remove_if_dead() noexcept {
  try {
    const Descriptor directory = hold_directory(path_);
    // An answer to a datagram may hold the socket a moment longer.
    const Deadline patience(std::chrono::milliseconds(50));
    bool dead = is_dead(path_, Address::unix_path(path_));
    while (!dead && !patience.passed()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      dead = is_dead(path_, Address::unix_path(path_));
    }
    if (dead) unlink();
  } catch (const std::exception&) {
    // Then the file stays, and the next server replaces it.
  }
}

void SocketFile::unlink() noexcept {
  struct stat status{};
  if (::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ &&
      status.st_ino == number_) {
    ::unlink(path_.c_str());
  }
}

}  // namespace net
