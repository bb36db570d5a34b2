/// \file
/// `net.server:proxy_gate`, internal: where connections wait for the PROXY header that names their
/// client.
module net.server:proxy_gate;

import net.standard;
import net.socket;
import :connection;
import :options;
import :poller;
import :service;

namespace net {

// Reads the headers of the PROXY protocol, and not one byte more, since handlers may read from the
// bare socket. Closes and counts connections whose peer is not trusted, or whose header is late or
// wrong. Runs on the serving thread and never blocks it.
class ProxyGate {
 public:
  // Takes over a connection once its client is known.
  class Beyond {
   public:
    virtual void introduced(Connection& connection) noexcept = 0;

   protected:
    ~Beyond() = default;
  };

  ProxyGate(Service& service, Beyond& beyond);
  ProxyGate(const ProxyGate&) = delete;
  ProxyGate& operator=(const ProxyGate&) = delete;
  ~ProxyGate();

  bool required() const noexcept { return service_.options.proxy_protocol.has_value(); }
  // Takes ownership of a new connection.
  void enter(Connection& connection) noexcept;
  // Ends connections whose header is late, and sets the timer for the next deadline. While the
  // server drains, no connection waits for longer than the quiet grace.
  void sweep(CoarseTime now) noexcept;

 private:
  class Waiting;
  enum class Read : std::uint8_t { partial, whole, ended, wrong };
  struct Result {
    Read read;
    std::exception_ptr why = nullptr;  // set if the header is wrong
  };
  // Appends the bytes of a partial header to `received`.
  static Result read(Connection& connection, std::string& received) noexcept;
  // Removes the connection from those that wait, and returns it.
  Connection& leave(Waiting& waiting) noexcept;
  void go_on(Connection& connection, const Result& result) noexcept;
  void refuse(Connection& connection, const std::exception_ptr& why) noexcept;
  void continue_with(Waiting& waiting) noexcept;
  CoarseTime limit_of(const Waiting& waiting) const noexcept;

  Service& service_;
  Beyond& beyond_;
  Networks trusted_;
  std::chrono::milliseconds header_timeout_{0};
  std::list<Waiting> waiting_;  // oldest first: the timeout is the same for all
};

class ProxyGate::Waiting final : public Watch {
 public:
  Waiting(ProxyGate& gate, Connection& waiting_connection, std::string begun) noexcept;
  void ready(std::uint32_t) override { gate_.continue_with(*this); }

  Connection& connection;
  const CoarseTime since;
  std::string received;

 private:
  ProxyGate& gate_;
};

}  // namespace net
