module;

#include <netdb.h>

#include <cerrno>
#include <gsl/assert>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

module net.socket;

namespace net {

TimeoutError::TimeoutError(const std::string& what)
    : std::system_error(std::make_error_code(std::errc::timed_out), what) {}
TimeoutError::~TimeoutError() = default;

EndOfStream::EndOfStream(const std::string& what) : std::runtime_error(what) {}
EndOfStream::~EndOfStream() = default;

namespace {

const std::error_code& last_code(const std::vector<std::system_error>& errors) {
  Expects(!errors.empty());
  return errors.back().code();
}

// Joins all texts. Omits the message of the last code, which `std::system_error` appends itself.
std::string texts(const std::vector<std::system_error>& errors) {
  std::string all;
  for (const std::system_error& error : errors) {
    if (!all.empty()) all += "; ";
    all += error.what();
  }
  const std::string end = ": " + last_code(errors).message();
  if (all.ends_with(end)) all.resize(all.size() - end.size());
  return all;
}

class ResolverCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "resolver"; }
  std::string message(int code) const override { return ::gai_strerror(code); }
  std::error_condition default_error_condition(int code) const noexcept override {
    switch (code) {
      case EAI_NODATA:
      case EAI_NONAME: return std::errc::no_such_device_or_address;
      case EAI_AGAIN: return std::errc::resource_unavailable_try_again;
      case EAI_MEMORY: return std::errc::not_enough_memory;
      case EAI_ADDRFAMILY:
      case EAI_FAMILY: return std::errc::address_family_not_supported;
      case EAI_SERVICE:
      case EAI_BADFLAGS:
      case EAI_SOCKTYPE: return std::errc::invalid_argument;
      case EAI_OVERFLOW: return std::errc::value_too_large;
      default: return std::errc::io_error;
    }
  }
};

}  // namespace

ConnectError::ConnectError(std::vector<std::system_error> errors)
    : std::system_error(last_code(errors), texts(errors)),
      errors_(std::make_shared<const std::vector<std::system_error>>(std::move(errors))) {}
ConnectError::~ConnectError() = default;

const std::error_category& resolver_category() noexcept {
  static const ResolverCategory category;
  return category;
}

void throw_system_error(int error, std::string_view what) {
  if (error == ETIMEDOUT) throw TimeoutError(std::string(what));
  throw std::system_error(error, std::system_category(), std::string(what));
}

}  // namespace net
