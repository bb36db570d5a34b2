/// \file
/// `net.server:option_checks`, internal: rejects invalid options of servers and policies, before
/// anything is opened.
module net.server:option_checks;

import net.standard;
import net.socket;
import :fork_per_request;
import :options;
import :server_parts;
import :thread_per_request;
import :thread_pool;

namespace net {

// Each function throws `std::errc::invalid_argument` for an invalid option. The message names the
// option, its value and its bounds. The constructors call these functions.

void check(const ServerOptions& options, ServerKind kind, std::span<const Address> addresses);
void check(const ThreadPool::Options& options);
void check(const ThreadPerRequest::Options& options);
void check(const ForkPerRequest::Options& options);
// Checks the argument of `serve_forever`.
void check_poll_interval(std::chrono::milliseconds interval);

bool fits(ServerKind kind, Family family) noexcept;
// Throws `invalid_argument` for an address or a socket that a server of this kind cannot serve.
[[noreturn]] void throw_misfit(ServerKind kind, const std::string& what);

}  // namespace net
