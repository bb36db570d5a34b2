/// \file
/// `net.server:socket_file`, internal: the file of a Unix server.
module net.server:socket_file;

import net.standard;
import net.socket;

namespace net {

// The file that a bound Unix socket has: replaces what a dead server left, never what a live one
// has, and goes when its server closes, if it is still that server's.
class SocketFile {
 public:
  SocketFile() noexcept = default;
  SocketFile(SocketFile&& other) noexcept;
  SocketFile& operator=(SocketFile&& other) noexcept;
  SocketFile(const SocketFile&) = delete;
  SocketFile& operator=(const SocketFile&) = delete;
  ~SocketFile() { remove(); }

  // Binds by `bind`, which is called with the path free, and while no other server of this library
  // looks at the directory. With `mode`, the file has those permissions.
  // Throws `address_in_use` if something is there that is no dead server's.
  static SocketFile bind(Socket& socket, const std::string& path, std::optional<unsigned> mode,
                         const std::function<void()>& bind);
  // Removes it, if it is the one that was bound.
  void remove() noexcept;
  // Lets it be: a child's copy of what is the parent's.
  void release() noexcept { path_.clear(); }

 private:
  std::string path_;  // absolute, so that a change of directory leaves it ours
  std::uint64_t device_ = 0;
  std::uint64_t number_ = 0;
};

}  // namespace net
