module;

#include <netdb.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

module net.socket;

namespace net {

TimeoutError::TimeoutError(const std::string& what)
    : std::system_error(std::make_error_code(std::errc::timed_out), what) {}
TimeoutError::~TimeoutError() = default;

EndOfStream::EndOfStream(const std::string& what) : std::runtime_error(what) {}
EndOfStream::~EndOfStream() = default;

namespace {

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

const std::error_category& resolver_category() noexcept {
  static const ResolverCategory category;
  return category;
}

void throw_system_error(int error, std::string_view what) {
  if (error == ETIMEDOUT) throw TimeoutError(std::string(what));
  throw std::system_error(error, std::system_category(), std::string(what));
}

}  // namespace net
