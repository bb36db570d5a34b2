/// \file
/// Module `net.handover`: notifications between a service and its service manager, and restarts
/// without lost connections.
///
/// A program that is restarted hands its listeners over to its successor, which may be a newer
/// binary. Meanwhile both have the same sockets, so no client is refused:
///
///     // In the old program; argv is the command line that it was started with
///     std::vector<net::Heirloom> heirlooms;
///     for (net::Socket& socket : server.duplicate_listeners()) {
///       heirlooms.push_back({std::move(socket), "echo"});
///     }
///     net::Successor successor(argv, heirlooms);
///     if (successor.wait_until_ready(10s)) server.shutdown();   // and server_close, which drains
///
///     // In the successor
///     std::vector<net::Heirloom> inherited = net::inherited_sockets();
///     net::TcpServer<Echo> next{std::move(inherited.front().socket)};
///     net::notify_ready();
///     next.serve_forever();
///
/// The sockets are passed as a service manager passes them, sd_listen_fds(3), so a program that
/// supports socket activation can be a successor if it also calls `notify_ready`. If the successor
/// fails to start or is not ready in time, the old program continues to serve, and the destructor
/// of `Successor` kills the successor.
///
/// `notify` reports the state of the service to systemd, like sd_notify(3), without its library.
export module net.handover;

import net.standard;
import net.socket;

export namespace net {

/// A socket that is passed from one program to another, with a name for its purpose.
struct Heirloom {
  Socket socket;     ///< open
  std::string name;  ///< no colon, no control characters, at most 255 bytes
};

/// A descriptor that was passed to this program at its start.
struct InheritedDescriptor {
  int number;        ///< the descriptor; the caller must adopt or close it
  std::string name;  ///< from LISTEN_FDNAMES; empty if there is none
};

/// Returns the descriptors that were opened for this program before its start, of any type. They
/// are close-on-exec, and in the original order. If a descriptor is not open, the list ends with
/// that descriptor, even if LISTEN_FDS is larger. Like `inherited_sockets`, this unsets the
/// variables. Throws `std::errc::invalid_argument` if LISTEN_FDS is not a number.
std::vector<InheritedDescriptor> inherited_descriptors();

/// Returns the sockets that were bound for this program before its start: LISTEN_PID, LISTEN_FDS
/// and LISTEN_FDNAMES of sd_listen_fds(3). The caller owns them; they are close-on-exec. The
/// variables are unset, so that the sockets are taken only once. Call this before starting threads.
/// Throws `std::errc::invalid_argument` if LISTEN_FDS is not a number, and
/// `std::errc::not_a_socket` or `std::errc::bad_file_descriptor` if a descriptor is not a socket or
/// not open.
std::vector<Heirloom> inherited_sockets();

/// Sends lines of sd_notify(3), such as "STOPPING=1" or "STATUS=draining", to the service manager.
/// Returns false if there is no manager (NOTIFY_SOCKET), or if the lines could not be sent to it.
/// Never waits. May be called from any thread.
bool notify(std::string_view state) noexcept;

/// Gives the service manager duplicates of sockets, with their names, to keep for the next start of
/// this service, for example after a crash: FDSTORE=1. Returns whether all of them were sent; false
/// if there are none.
bool store_sockets(std::span<const Heirloom> sockets) noexcept;

/// Announces that this program is serving: to the program that started it as its successor, and to
/// the service manager ("READY=1", with the process ID). Returns whether at least one of them
/// received it.
bool notify_ready() noexcept;

/// Returns the interval at which to send "WATCHDOG=1" to the service manager: half of
/// WATCHDOG_USEC, at least 1 ms and at most 12 hours. Returns nothing if the manager does not
/// expect it.
std::optional<std::chrono::milliseconds> watchdog_interval() noexcept;

/// The program that replaces this one.
///
/// Thread safety: one object, by one thread at a time. The successor starts with no signals
/// blocked, even if the calling thread blocks some.
class Successor {
 public:
  /// Starts a program, with argv[0] looked up in the search path. The sockets are its descriptors 3
  /// and up, followed by the pipe to which `notify_ready` writes. Of the other descriptors of this
  /// program, it inherits only the standard streams; before Linux 5.11, also those that are not
  /// close-on-exec. Preconditions: `argv` is not empty; the names are valid for `Heirloom`. Throws
  /// the errors of pipe2(2), fork(2) and execvp(3).
  Successor(std::span<const std::string> argv, std::span<const Heirloom> sockets);
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;
  /// Kills the successor (SIGKILL), unless `wait_until_ready` has returned true.
  ~Successor();

  /// Waits until the successor calls `notify_ready`. Returns false if the successor ended, or if
  /// the deadline expired; in the second case you may call this again. A successor that closes its
  /// pipe before it is ready is killed.
  bool wait_until_ready(Deadline deadline);
  /// Returns whether the successor has ended. If so, it has been reaped.
  bool ended() noexcept;
  /// Returns the process ID of the successor.
  int process() const noexcept { return process_; }

 private:
  void kill_and_reap() noexcept;

  int process_ = -1;
  Descriptor ready_;        // a pipe from the successor
  Descriptor ended_event_;  // readable when the successor has ended; closed if the system refuses
  bool is_ready_ = false;
  bool ended_ = false;
};

}  // namespace net
