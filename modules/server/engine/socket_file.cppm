/// \file
/// `net.server:socket_file`, internal: the file of a Unix server.
module net.server:socket_file;

import net.standard;
import net.socket;
import :forked;

namespace net {

// The file that a bound Unix socket has: replaces what a dead server left, never what a live one
// has, and goes when its server closes, if it is still that server's.
//
// Processes that were forked have the socket as well, and may serve it. Only one that made the
// server or has served it removes the file. If another one may need it, the file goes with the last
// process that holds the socket: if it was handed over; if another one has served it; if this one
// has forked since it made or served the server, as the child may be about to serve; and if this is
// such a child, and the process that made the server is still there.
class SocketFile {
 public:
  SocketFile() noexcept = default;
  SocketFile(SocketFile&& other) noexcept;
  SocketFile& operator=(SocketFile&& other) noexcept;
  SocketFile(const SocketFile&) = delete;
  SocketFile& operator=(const SocketFile&) = delete;
  ~SocketFile();

  // Binds by `bind`, which is called with the path free, and while no other server of this library
  // looks at the directory. With `mode`, the file has those permissions.
  // Throws `address_in_use` if something is there that is no dead server's.
  static SocketFile bind(Socket& socket, const std::string& path, std::optional<unsigned> mode,
                         const std::function<void()>& bind);
  // Takes the file of a socket that another program has bound and hands over, which may still
  // serve. Nothing, if the path is not that socket's any more.
  static SocketFile adopt(const Socket& socket);
  // Another program gets the socket. From any thread.
  void share() noexcept { shared_.store(true, std::memory_order_relaxed); }
  // This process serves the socket.
  void note_serving() noexcept;
  // Removes it, if it is the one that was bound, and calls `close`, which closes the socket.
  // `forked`: this process has forked since it made or served the server.
  void remove(bool forked, const std::function<void()>& close) noexcept;

 private:
  struct Holders;  // shared by the processes that have the socket

  bool ours() const noexcept;
  bool others_may_need_it(bool forked) const noexcept;
  static SocketFile of(const Descriptor& opened, const std::string& path);
  void remove_if_dead() noexcept;
  void unlink() noexcept;

  std::string path_;  // absolute, so that a change of directory leaves it ours
  std::uint64_t device_ = 0;
  std::uint64_t number_ = 0;
  Holders* holders_ = nullptr;
  std::atomic<bool> shared_{false};  // with another program
  Process made_in_ = 0;
  Process served_in_ = 0;
};

}  // namespace net
