module;

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <exception>
#include <list>
#include <span>
#include <string>
#include <system_error>
#include <utility>

module net.server;

import net.socket;
import :connection;
import :proxy_gate;
import :proxy_header;
import :service;

namespace net {
namespace {

std::exception_ptr error(std::errc code, const char* text) noexcept {
  return std::make_exception_ptr(
      std::system_error(std::make_error_code(code), std::string("PROXY header: ") + text));
}

}  // namespace

ProxyGate::Waiting::Waiting(ProxyGate& gate, Connection& waiting_connection,
                            std::string begun) noexcept
    : connection(waiting_connection),
      since(coarse_now()),
      received(std::move(begun)),
      gate_(gate) {}

ProxyGate::ProxyGate(Service& service, Beyond& beyond) : service_(service), beyond_(beyond) {
  const auto& proxies = service.options.proxy_protocol;
  if (!proxies) return;
  trusted_ = proxies->trusted;
  header_timeout_ = proxies->header_timeout;
}

ProxyGate::~ProxyGate() = default;

void ProxyGate::enter(Connection& connection) noexcept {
  const Address& peer = connection.client_address();
  if (peer.family() != Family::unix_domain && !trusted_.contains(peer)) {
    refuse(connection, error(std::errc::permission_denied, "the peer is no proxy that is trusted"));
    return;
  }
  // Most proxies send the header with their first bytes, so it is often here already.
  std::string received;
  const Result result = read(connection, received);
  if (result.read != Read::partial) {
    go_on(connection, result);
    return;
  }
  try {
    Waiting& waiting = waiting_.emplace_back(*this, connection, std::move(received));
    try {
      service_.poller.add(connection.socket().fileno(), waiting);
    } catch (...) {
      waiting_.pop_back();
      throw;
    }
    service_.timer.due_by(limit_of(waiting));
  } catch (const std::exception&) {
    connection.end_unwatched();
  }
}

void ProxyGate::continue_with(Waiting& waiting) noexcept {
  const Result result = read(waiting.connection, waiting.received);
  if (result.read != Read::partial) go_on(leave(waiting), result);
}

Connection& ProxyGate::leave(Waiting& waiting) noexcept {
  Connection& connection = waiting.connection;
  service_.poller.remove(connection.socket().fileno(), waiting);
  waiting_.remove_if([&](const Waiting& other) { return &other == &waiting; });
  return connection;
}

// Peeks at what has arrived, and takes only the header's bytes from the socket.
ProxyGate::Result ProxyGate::read(Connection& connection, std::string& received) noexcept {
  const int socket = connection.socket().fileno();
  const std::size_t before = received.size();
  std::array<std::byte, largest_proxy_header> bytes;  // `received`, then what has arrived
  std::ranges::copy(std::as_bytes(std::span(received)), bytes.begin());
  const auto room = std::span(bytes).subspan(before);
  const auto here = ::recv(socket, room.data(), room.size(), MSG_PEEK | MSG_DONTWAIT);
  if (here < 0 && (errno == EAGAIN || errno == EINTR)) return {Read::partial};
  try {
    if (here < 0) throw_system_error(errno, "recv");
    // The peer closed without sending a byte, as the health checks of many proxies do.
    if (here == 0 && before == 0) return {Read::ended};
    if (here == 0) return {Read::wrong, error(std::errc::protocol_error, "it is cut short")};
    const auto all = std::span(bytes).first(before + static_cast<std::size_t>(here));
    const ProxyHeader header = read_proxy_header(all);
    if (header.state == ProxyHeader::State::wrong) {
      return {Read::wrong, error(std::errc::protocol_error, header.fault)};
    }
    const bool whole = header.state == ProxyHeader::State::whole;
    // These bytes have arrived, so one call returns all of them.
    const auto taken = room.first((whole ? header.size : all.size()) - before);
    if (::recv(socket, taken.data(), taken.size(), MSG_DONTWAIT) < 0) {
      throw_system_error(errno, "recv");
    }
    if (!whole) {
      received.append(reinterpret_cast<const char*>(taken.data()), taken.size());
      return {Read::partial};
    }
    if (header.client != Address()) connection.set_client(header.client);
    return {Read::whole};
  } catch (...) {
    return {Read::wrong, std::current_exception()};
  }
}

void ProxyGate::go_on(Connection& connection, const Result& result) noexcept {
  switch (result.read) {
    case Read::whole: beyond_.introduced(connection); break;
    case Read::ended: connection.end(Outcome::closed_idle); break;
    case Read::wrong: refuse(connection, result.why); break;
    case Read::partial: break;
  }
}

void ProxyGate::refuse(Connection& connection, const std::exception_ptr& why) noexcept {
  service_.hooks.connection_failed({.phase = Phase::proxy_header,
                                    .exception = why,
                                    .client_address = connection.client_address()});
  connection.end(Outcome::not_introduced);
}

CoarseTime ProxyGate::limit_of(const Waiting& waiting) const noexcept {
  const CoarseTime limit = coarse_after(waiting.since, header_timeout_.count());
  if (!service_.draining()) return limit;
  return std::min(limit, coarse_after(std::max(waiting.since, service_.draining_since()),
                                      service_.options.quiet_grace.count()));
}

void ProxyGate::sweep(CoarseTime now) noexcept {
  while (!waiting_.empty() && limit_of(waiting_.front()) <= now) {
    Waiting& late = waiting_.front();
    // The header may have arrived in time, while this process was stopped or busy with others.
    Result result = read(late.connection, late.received);
    if (result.read == Read::partial) {
      const bool silent = service_.draining() && late.received.empty();
      result = silent ? Result{Read::ended}
                      : Result{Read::wrong,
                               std::make_exception_ptr(TimeoutError("the PROXY header is late"))};
      if (!silent) service_.counters.time_out();
    }
    go_on(leave(late), result);
  }
  if (!waiting_.empty()) service_.timer.due_by(limit_of(waiting_.front()));
}

}  // namespace net
