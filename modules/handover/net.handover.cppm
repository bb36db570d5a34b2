/// \file
/// Module `net.handover`: the life of a service beside its manager, and a restart that loses
/// nobody.
///
/// A program that is restarted hands its listeners over to the next one, its successor, which may
/// be a newer binary. Both have the same sockets meanwhile, so no client is refused:
///
///     // In the program that goes; argv[0] and its arguments are those that it was started with
///     std::vector<net::Heirloom> heirlooms;
///     for (net::Socket& socket : server.duplicate_listeners()) {
///       heirlooms.push_back({std::move(socket), "echo"});
///     }
///     net::Successor successor(argv, heirlooms);
///     if (successor.wait_until_ready(10s)) server.shutdown();   // and server_close, which drains
///
///     // In the program that comes
///     std::vector<net::Heirloom> inherited = net::inherited_sockets();
///     net::TcpServer<Echo> next{std::move(inherited.front().socket)};
///     net::notify_ready();
///     next.serve_forever();
///
/// The sockets are passed as a service manager passes them, sd_listen_fds(3), so a program that can
/// be socket-activated can be restarted. A successor that fails to start, or is not ready in time,
/// is ended, and the old program serves on.
///
/// `notify` tells systemd how the service is, as sd_notify(3), without its library.
export module net.handover;

import net.standard;
import net.socket;

export namespace net {

/// A socket that is passed from one program to another, with what it is for.
struct Heirloom {
  Socket socket;     ///< open
  std::string name;  ///< no colon, no control characters, at most 255 bytes
};

/// A descriptor that this program was started with.
struct InheritedDescriptor {
  int number;        ///< the caller's, to adopt or to close
  std::string name;  ///< of LISTEN_FDNAMES; empty if there is none
};

/// Returns the descriptors that the starter of this program has opened for it, as
/// `inherited_sockets` has them, without looking at what they are: close-on-exec, in their order;
/// the first that is not open is the last, whatever their number was said to be. Throws
/// `std::errc::invalid_argument` if LISTEN_FDS is no number.
std::vector<InheritedDescriptor> inherited_descriptors();

/// Returns the sockets that the starter of this program has bound for it: LISTEN_PID, LISTEN_FDS
/// and LISTEN_FDNAMES of sd_listen_fds(3). They are the caller's, close-on-exec; the variables are
/// unset, so that they are taken only once. To be called before there are threads.
/// Throws `std::errc::invalid_argument` if LISTEN_FDS is no number, or a descriptor is no socket.
std::vector<Heirloom> inherited_sockets();

/// Sends lines of sd_notify(3), "STOPPING=1" or "STATUS=draining", to the service manager. Returns
/// false if there is none (NOTIFY_SOCKET), or it did not take them; never waits. From any thread.
bool notify(std::string_view state) noexcept;

/// Gives the manager duplicates of sockets to keep for the next start of this service, should this
/// one crash: FDSTORE=1, with the name. Returns as `notify`.
bool store_sockets(std::span<const Heirloom> sockets) noexcept;

/// Announces that this program serves: to the program that started it as its successor, and to the
/// manager ("READY=1", with the number of the process). Returns whether either was told.
bool notify_ready() noexcept;

/// Returns how often the manager wants to hear "WATCHDOG=1": half of WATCHDOG_USEC; nothing if it
/// does not.
std::optional<std::chrono::milliseconds> watchdog_interval() noexcept;

/// The program that comes after this one.
///
/// Thread safety: as of any object. Signals that this thread blocks are not blocked in it.
class Successor {
 public:
  /// Starts a program, argv[0] by the search path, with the sockets as descriptors 3 and up; of
  /// this program's other descriptors it has the standard streams. Preconditions: `argv` is not
  /// empty; the names are as `Heirloom` wants them. Errors as fork(2) and execvp(3).
  Successor(std::span<const std::string> argv, std::span<const Heirloom> sockets);
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;
  /// Ends it (SIGKILL), unless it has said that it is ready.
  ~Successor();

  /// Waits until it says so by `notify_ready`; false if it has ended, or the time has: then it may
  /// be asked again. One that closes the pipe without a word is ended.
  bool wait_until_ready(Deadline deadline);
  /// Returns whether it has ended. Once it has, it is reaped.
  bool ended() noexcept;
  /// Returns the number of its process.
  int process() const noexcept { return process_; }

 private:
  void kill_and_reap() noexcept;

  int process_ = -1;
  Descriptor ready_;  // a pipe from it
  bool is_ready_ = false;
  bool ended_ = false;
};

}  // namespace net
