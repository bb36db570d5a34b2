/// \file
/// `net.server:socket_file`, internal: the socket file of a Unix server.
module net.server:socket_file;

import net.standard;
import net.socket;
import :forked;

namespace net {

// The file of a bound Unix socket. It replaces the file of a dead server, never that of a live one.
// It is removed when its server closes, if it still belongs to that server.
//
// Forked processes have the socket as well, and may serve it. Only a process that made the server
// or has served it removes the file. If another process may need the file, it is removed only with
// the last process that holds the socket. Another process may need the file if
//
// - the socket was handed over;
// - another process has served it;
// - this process has forked since it made or served the server: the child may be about to serve;
// - this process is such a child, and the process that made the server still exists and has not
//   closed it.
class SocketFile {
 public:
  SocketFile() noexcept = default;
  SocketFile(SocketFile&& other) noexcept;
  SocketFile& operator=(SocketFile&& other) noexcept;
  SocketFile(const SocketFile&) = delete;
  SocketFile& operator=(const SocketFile&) = delete;
  ~SocketFile();

  // Removes a dead server's file, and calls `bind` to bind the socket. No other server of this
  // library looks at the directory meanwhile. With `mode`, the file gets those permissions.
  // Throws `address_in_use` if the path exists and is not a dead server's.
  static SocketFile bind(Socket& socket, const std::string& path, std::optional<unsigned> mode,
                         const std::function<void()>& bind);
  // Takes the file of a socket that another program has bound and hands over. That program may
  // still serve it. Returns an empty object if the path is not that socket's any more.
  static SocketFile adopt(const Socket& socket);
  // Notes that another program gets the socket. May be called from any thread.
  void share() noexcept { shared_.store(true, std::memory_order_relaxed); }
  // Notes that this process serves the socket.
  void note_serving() noexcept;
  // Removes the file, if it is the one that was bound and no other process may need it, and calls
  // `close`, which closes the socket. `forked`: this process has forked since it made or served the
  // server.
  void remove(bool forked, const std::function<void()>& close) noexcept;

 private:
  struct Holders;  // shared by the processes that have the socket

  bool ours() const noexcept;
  bool others_may_need_it(bool forked) const noexcept;
  static SocketFile of(const Descriptor& opened, const std::string& path);
  void remove_if_dead() noexcept;
  void unlink() noexcept;

  std::string path_;  // absolute, as the working directory may change
  std::uint64_t device_ = 0;
  std::uint64_t number_ = 0;
  Holders* holders_ = nullptr;
  std::atomic<bool> shared_{false};  // with another program
  Process made_in_ = 0;
  Process served_in_ = 0;
};

}  // namespace net
