module;

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

module net.server;

import net.socket;
import net.handler;
import :core;
import :forked;
import :option_checks;

// How a server comes to its listeners: the binding of net.server:core.

namespace net {
namespace {

SocketType type_of(ServerKind kind, bool link_header) noexcept {
  switch (kind) {
    case ServerKind::tcp:
    case ServerKind::unix_stream: return SocketType::stream;
    case ServerKind::packet: return link_header ? SocketType::raw : SocketType::datagram;
    case ServerKind::udp:
    case ServerKind::unix_datagram: break;
  }
  return SocketType::datagram;
}

bool is_unbound(const Address& address) {
  const bool internet = address.family() == Family::ipv4 || address.family() == Family::ipv6;
  return address.unnamed() || (internet && address.port() == 0);
}

// Without a protocol: a packet socket that has one hears all interfaces until it is bound.
Socket open_for(const Address& address, SocketType type) {
  try {
    return Socket(address.family(), type);
  } catch (const std::system_error& error) {
    const bool forbidden = error.code() == std::errc::operation_not_permitted;
    throw_system_error(error.code().value(), "socket for " + address.to_string() +
                                                 (forbidden ? ", which needs CAP_NET_RAW" : ""));
  }
}

}  // namespace

void ServerCore::bind() {
  std::vector<std::unique_ptr<Listener>> bound;
  bound.reserve(addresses_.size() + adopted_.size());
  for (const Address& address : addresses_) bound.push_back(bind_one(address));
  for (Socket& socket : adopted_) bound.push_back(adopt_one(std::move(socket)));
  adopted_.clear();
  listeners_ = std::move(bound);
}

std::unique_ptr<Listener> ServerCore::bind_one(const Address& address) {
  const Family family = address.family();
  const bool internet = family == Family::ipv4 || family == Family::ipv6;
  Socket socket = open_for(address, type_of(kind_, options.link_header));
  if (kind_ == ServerKind::tcp) {
    if (options.reuse_address) socket.setsockopt(SocketOption::reuse_address, 1);
    if (options.no_delay) socket.setsockopt(SocketOption::no_delay, 1);  // inherited by accept
  }
  if (internet && options.reuse_port) socket.setsockopt(SocketOption::reuse_port, 1);
  if (family == Family::ipv6) {
    socket.setsockopt(SocketOption::ipv6_only, options.dualstack ? 0 : 1);
  }
  if (!is_stream(kind_)) DatagramSocket::prepare(socket, family);
  SocketFile file;
  if (const std::string path = address.path(); !path.empty()) {
    file = SocketFile::bind(socket, path, options.unix_mode,
                            [&] { hooks().server_bind(socket, address); });
  } else {
    hooks().server_bind(socket, address);
  }
  return make_listener(std::move(socket), std::move(file));
}

std::unique_ptr<Listener> ServerCore::adopt_one(Socket socket) {
  const Address address = socket.getsockname();
  const std::string what = "the adopted socket on " + address.to_string();
  if (!fits(kind_, address.family())) throw_misfit(kind_, what);
  if (socket.type() != type_of(kind_, options.link_header)) throw_misfit(kind_, what);
  if (is_stream(kind_)) {
    if (!socket.listening()) throw_misfit(kind_, what + ", which does not listen");
    if (kind_ == ServerKind::tcp && options.no_delay) {
      socket.setsockopt(SocketOption::no_delay, 1);
    }
  } else if (is_unbound(address)) {
    throw_misfit(kind_, what + ", which is not bound");
  } else {
    DatagramSocket::prepare(socket, address.family());
  }
  auto listener = make_listener(std::move(socket), {});
  listener->set_adopted();
  return listener;
}

std::unique_ptr<Listener> ServerCore::make_listener(Socket socket, SocketFile file) {
  const Address address = socket.getsockname();
  if (is_stream(kind_)) {
    return std::make_unique<StreamListener>(*this, std::move(socket), address, std::move(file));
  }
  return std::make_unique<DatagramListener>(*this, std::move(socket), address, std::move(file));
}

void ServerCore::activate() {
  if (listeners_.empty()) {
    throw std::system_error(std::make_error_code(std::errc::bad_file_descriptor),
                            "server_activate before server_bind");
  }
  try {
    for (const auto& listener : listeners_) {
      // A datagram socket receives since it is bound, and an adopted one listens.
      if (Socket* const socket = listener->to_activate()) {
        hooks().server_activate(*socket, options.request_queue_size);
      }
      poller.add(listener->fileno(), *listener);
    }
  } catch (...) {
    close_listeners();
    throw;
  }
  active_ = true;
}

std::size_t ServerCore::listeners() const noexcept {
  return listeners_.empty() ? addresses_.size() : listeners_.size();
}

Address ServerCore::address(std::size_t listener) const {
  return listeners_.empty() ? addresses_.at(listener) : listeners_.at(listener)->address();
}

std::unique_ptr<ServerCore> ServerCore::make_heir() {
  PolicyContext& context = policy->context();
  if (!context.ours()) context.renew();
  AnyServerParts parts;
  parts.addresses = addresses_;
  parts.options = options;
  parts.maker = maker;
  parts.policy = policy;
  parts.hooks = hooks_;
  parts.verifies = verifies_;
  parts.kind = kind_;
  auto heir = std::make_unique<ServerCore>(parts);
  heir->take_over(*this);
  return heir;
}

void ServerCore::take_over(ServerCore& before) {
  listeners_.reserve(before.listeners_.size());
  before.closed = true;  // whatever happens: it may lose its listeners
  for (const auto& listener : before.listeners_) listeners_.push_back(listener->move_to(*this));
  adopted_ = std::move(before.adopted_);
  last_listener_error_ = before.last_listener_error_;
  stop_.store(before.stop_.load());
  page.stop.store(before.stop_.load());
  poller.take_number_of(before.poller);
  for (const auto& listener : listeners_) {
    if (before.active_ && !listener->dead()) poller.add(listener->fileno(), *listener);
  }
  active_ = before.active_;
}

void ServerCore::leave() noexcept {
  closed = true;
  Servers::remove(*this);
  if (OwnDescriptors::closed_here(process_)) return;
  for (const auto& listener : listeners_) listener->close_in_child();
  registry.for_each([](Connection& connection) { connection.close_in_child(); });
  closer_.close_in_child();
  adopted_.clear();
  poller.close();
  timer.close_in_child();
  if (own_lot_) own_lot_->close();
  wakeup.close();
  policy.reset();
}

void ServerCore::close_listeners() noexcept {
  for (const auto& listener : listeners_) listener->close();
}

bool ServerCore::all_dead() const noexcept {
  return std::ranges::all_of(listeners_, [](const auto& listener) { return listener->dead(); });
}

// Not if those who are too many are told so, or if others go for newcomers: that is for the serving
// thread to do. It accepts conversations, too, as those hold all workers for as long as they
// please, and whom the application wants to see before, as `verify_request` is promised to run
// there.
bool ServerCore::may_accept_in_lot() const noexcept {
  if (own_lot_ || options.overload == Overload::reject) return false;
  if (!is_stream(kind_)) return true;
  return options.overload == Overload::wait && !maker->conversation() && !verifies_;
}

// While the server serves, a policy that polls the lot by itself accepts there.
void ServerCore::accept_in_lot(bool in_lot) noexcept {
  if (!may_accept_in_lot()) return;
  for (const auto& listener : listeners_) {
    if (!in_lot) {
      listener->leave_lot();
      continue;
    }
    if (listener->dead()) continue;
    try {
      listener->enter_lot();
    } catch (const std::exception&) {
      // Then the serving thread goes on accepting, and hands over.
    }
  }
}

std::uint64_t ServerCore::datagrams_lost() const noexcept {
  if (is_stream(kind_)) return 0;
  std::uint64_t lost = 0;
  for (const auto& listener : listeners_) {
    lost += static_cast<const DatagramListener&>(*listener).lost();
  }
  return lost;
}

}  // namespace net
