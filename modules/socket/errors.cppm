/// \file
/// `net.socket:errors`: the exceptions of the library besides plain `std::system_error`.
export module net.socket:errors;

import net.standard;

export namespace net {

/// The error when a deadline expires, or when the kernel gives up waiting for a peer (ETIMEDOUT).
/// Its code equals `std::errc::timed_out`. Python: `TimeoutError`.
class TimeoutError : public std::system_error {
 public:
  /// Makes the error with a text that says what timed out.
  explicit TimeoutError(const std::string& what);
  TimeoutError(const TimeoutError&) = default;
  TimeoutError& operator=(const TimeoutError&) = default;
  ~TimeoutError() override;
};

/// The error when a stream ends before all requested bytes were received. Python: `EOFError`.
class EndOfStream : public std::runtime_error {
 public:
  /// Makes the error with a text that says what was being read.
  explicit EndOfStream(const std::string& what);
  EndOfStream(const EndOfStream&) = default;
  EndOfStream& operator=(const EndOfStream&) = default;
  ~EndOfStream() override;
};

/// The error when no address of a host could be connected to. Its code is the code of the last
/// attempt, and its text contains all errors. Python: the `ExceptionGroup` of `all_errors=True`.
class ConnectError : public std::system_error {
 public:
  /// Makes the error from those of each attempt. Precondition: there is at least one.
  explicit ConnectError(std::vector<std::system_error> errors);
  ConnectError(const ConnectError&) = default;
  ConnectError& operator=(const ConnectError&) = default;
  ~ConnectError() override;

  /// Returns the errors, one for each address that was tried, in order.
  const std::vector<std::system_error>& errors() const noexcept { return *errors_; }

 private:
  // Shared, since copying an exception must not throw.
  std::shared_ptr<const std::vector<std::system_error>> errors_;
};

/// Returns the category of name look-up errors, the EAI_ codes of getaddrinfo(3). Each code maps to
/// a `std::errc`: an unknown name to `no_such_device_or_address`, a temporary failure to
/// `resource_unavailable_try_again`. Python: `socket.gaierror`.
const std::error_category& resolver_category() noexcept;

/// Throws the error of a failed system call: `TimeoutError` for ETIMEDOUT, otherwise
/// `std::system_error`. `what` ("connect to 127.0.0.1:80") comes before the system's own text.
[[noreturn]] void throw_system_error(int error, std::string_view what);

}  // namespace net
