module;

#include <cerrno>
#include <cstddef>
#include <gsl/util>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

module net.server;

import net.socket;
import net.handler;
import :acceptor;
import :forked;
import :option_checks;

// How a server opens its listeners: a part of net.server:acceptor.

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

// Opens a socket without a protocol: a packet socket that has one receives from all interfaces
// until it is bound.
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

Acceptor::Acceptor(Service& service, Dispatcher& dispatcher, Reaper& reaper, AnyServerParts& parts)
    : service_(service),
      dispatcher_(dispatcher),
      reaper_(reaper),
      kind_(parts.kind),
      addresses_(parts.addresses.begin(), parts.addresses.end()),
      adopted_(std::move(parts.adopted)) {}

void Acceptor::bind() {
  std::vector<std::unique_ptr<Listener>> bound;
  const auto close_bound = gsl::finally([&bound] {
    for (const auto& listener : bound) listener->close();
  });
  bound.reserve(addresses_.size() + adopted_.size());
  for (const Address& address : addresses_) bound.push_back(bind_one(address));
  for (Socket& socket : adopted_) bound.push_back(adopt_one(std::move(socket)));
  adopted_.clear();
  listeners_.swap(bound);
}

std::unique_ptr<Listener> Acceptor::bind_one(const Address& address) {
  const Family family = address.family();
  const bool internet = family == Family::ipv4 || family == Family::ipv6;
  Socket socket;
  const auto unlist =
      gsl::finally([&] { OwnDescriptors::replace(socket.fileno(), service_.timer.fileno()); });
  {
    const std::lock_guard lock(service_.opening);
    socket = open_for(address, type_of(kind_, service_.options.link_header));
    OwnDescriptors::add(socket.fileno());
  }
  if (kind_ == ServerKind::tcp) {
    if (service_.options.reuse_address) socket.setsockopt(SocketOption::reuse_address, 1);
    if (service_.options.no_delay)
      socket.setsockopt(SocketOption::no_delay, 1);  // accepted sockets inherit it
  }
  if (internet && service_.options.reuse_port) socket.setsockopt(SocketOption::reuse_port, 1);
  if (family == Family::ipv6) {
    socket.setsockopt(SocketOption::ipv6_only, service_.options.dualstack ? 0 : 1);
  }
  if (!is_stream(kind_)) DatagramSocket::prepare(socket, family);
  SocketFile file;
  if (const std::string path = address.path(); !path.empty()) {
    file = SocketFile::bind(socket, path, service_.options.unix_mode,
                            [&] { service_.hooks.bind(socket, address); });
  } else {
    service_.hooks.bind(socket, address);
  }
  return make_listener(std::move(socket), std::move(file));
}

std::unique_ptr<Listener> Acceptor::adopt_one(Socket socket) {
  const Address address = socket.getsockname();
  const std::string what = "the adopted socket on " + address.to_string();
  if (!fits(kind_, address.family())) throw_misfit(kind_, what);
  if (socket.type() != type_of(kind_, service_.options.link_header)) throw_misfit(kind_, what);
  if (is_stream(kind_)) {
    if (!socket.listening()) throw_misfit(kind_, what + ", which does not listen");
    if (kind_ == ServerKind::tcp && service_.options.no_delay) {
      socket.setsockopt(SocketOption::no_delay, 1);
    }
  } else if (is_unbound(address)) {
    throw_misfit(kind_, what + ", which is not bound");
  } else {
    DatagramSocket::prepare(socket, address.family());
  }
  SocketFile file = service_.options.adopted_files ? SocketFile::adopt(socket) : SocketFile();
  auto listener = make_listener(std::move(socket), std::move(file));
  listener->set_adopted();
  return listener;
}

std::unique_ptr<Listener> Acceptor::make_listener(Socket socket, SocketFile file) {
  Newcomers& newcomers = *this;
  const Address address = socket.getsockname();
  if (is_stream(kind_)) {
    return std::make_unique<StreamListener>(service_, newcomers, std::move(socket), address,
                                            std::move(file));
  }
  return std::make_unique<DatagramListener>(service_, newcomers, std::move(socket), address,
                                            std::move(file));
}

void Acceptor::activate() {
  if (listeners_.empty()) {
    throw std::system_error(std::make_error_code(std::errc::bad_file_descriptor),
                            "server_activate before server_bind");
  }
  try {
    for (const auto& listener : listeners_) {
      // A datagram socket receives as soon as it is bound, and an adopted socket listens already.
      if (Socket* const socket = listener->to_activate()) {
        service_.hooks.activate(*socket, service_.options.request_queue_size);
      }
      service_.poller.add(listener->fileno(), *listener);
    }
  } catch (...) {
    close();
    throw;
  }
  active_ = true;
}

std::size_t Acceptor::listeners() const noexcept {
  return listeners_.empty() ? addresses_.size() : listeners_.size();
}

Address Acceptor::address(std::size_t listener) const {
  return listeners_.empty() ? addresses_.at(listener) : listeners_.at(listener)->address();
}

void Acceptor::take_over(Acceptor& before) {
  listeners_.reserve(before.listeners_.size());
  for (const auto& listener : before.listeners_) {
    listeners_.push_back(listener->move_to(service_, *this));
  }
  adopted_ = std::move(before.adopted_);
  last_error_ = before.last_error_;
  active_ = before.active_;
  if (!active_) return;
  for (const auto& listener : listeners_) {
    if (!listener->dead()) service_.poller.add(listener->fileno(), *listener);
  }
}

void Acceptor::close_in_child() noexcept {
  for (const auto& listener : listeners_) listener->close_in_child();
  adopted_.clear();
}

}  // namespace net
