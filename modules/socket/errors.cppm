/// \file
/// `net.socket:errors`: what the library throws beside plain `std::system_error`.
export module net.socket:errors;

import net.standard;

export namespace net {

/// A deadline passed, or the kernel gave up waiting for a peer (ETIMEDOUT).
/// Its code equals `std::errc::timed_out`. Python: `TimeoutError`.
class TimeoutError : public std::system_error {
 public:
  /// Makes the error with a text of what was waited for.
  explicit TimeoutError(const std::string& what);
  TimeoutError(const TimeoutError&) = default;
  TimeoutError& operator=(const TimeoutError&) = default;
  ~TimeoutError() override;
};

/// A stream ended before the bytes that were asked for had come. Python: `EOFError`.
class EndOfStream : public std::runtime_error {
 public:
  /// Makes the error with a text of what was read.
  explicit EndOfStream(const std::string& what);
  EndOfStream(const EndOfStream&) = default;
  EndOfStream& operator=(const EndOfStream&) = default;
  ~EndOfStream() override;
};

/// None of a name's addresses could be connected to. Its code is that of the last one,
/// and its text has all of them. Python: the `ExceptionGroup` of `all_errors=True`.
class ConnectError : public std::system_error {
 public:
  /// Precondition: there is an error.
  explicit ConnectError(std::vector<std::system_error> errors);
  ConnectError(const ConnectError&) = default;
  ConnectError& operator=(const ConnectError&) = default;
  ~ConnectError() override;

  /// Returns what went wrong, an error for each address that was tried, in order.
  const std::vector<std::system_error>& errors() const noexcept { return *errors_; }

 private:
  // Shared, since copying an exception must not throw.
  std::shared_ptr<const std::vector<std::system_error>> errors_;
};

/// Returns the category of errors of name look-up, getaddrinfo(3)'s EAI_ codes. Each maps to a
/// `std::errc`: no such name to `no_such_device_or_address`, a temporary failure to
/// `resource_unavailable_try_again`. Python: `socket.gaierror`.
const std::error_category& resolver_category() noexcept;

/// Throws the error of a failed system call: `TimeoutError` for ETIMEDOUT, else `std::system_error`
/// with `what` ("connect to 127.0.0.1:80") before the system's own text.
[[noreturn]] void throw_system_error(int error, std::string_view what);

}  // namespace net
