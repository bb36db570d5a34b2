// Programs that must not compile, each with the message that the compiler must print first.
// refused_programs_test.cpp compiles them together: the text between two of the comments that begin
// with "must not compile" is one program.

#include <cstddef>
#include <span>
#include <string_view>

import net.server;

namespace {

using Bytes = std::span<const std::byte>;
using net::Address;
using net::Next;
using net::ServerOptions;
using net::TcpServer;
using net::UdpServer;

const Address address{"127.0.0.1", 0};

struct Echo : net::StreamRequestHandler {
  Next handle() { return Next::close; }
};
struct NeedsState : net::StreamRequestHandler {
  explicit NeedsState(int) {}
  Next handle() { return Next::close; }
};
struct Hooks : net::ServerHooks {};
Hooks hooks;
const auto make = [] { return Echo(); };

// --- how handlers are made ----------------------------------------------------------------------

// must not compile: the handler is neither default-constructible
TcpServer<NeedsState> no_factory{address};

// must not compile: the handler is neither default-constructible
net::UnixStreamServer<NeedsState, net::Inline> no_factory_but_options{address, ServerOptions{}};

// must not compile: the handler is neither default-constructible
net::TcpServer<NeedsState, net::ForkPerRequest> no_factory_for_sockets{net::Socket{}};

// must not compile: the handler is neither default-constructible
TcpServer<NeedsState, net::ThreadPerRequest> wrong_factory{address, [] { return Echo(); }};

// must not compile: the handler is neither default-constructible
class HiddenConstructor : public net::DatagramRequestHandler {
  HiddenConstructor() = default;

 public:
  void handle() {}
};
UdpServer<HiddenConstructor> hidden_constructor{address};

// must not compile: the handler is neither default-constructible
struct FromNothing {
  void handle() {}
};
UdpServer<FromNothing> from_nothing{address};

// --- request_size -------------------------------------------------------------------------------

// must not compile: request_size must be `public: static std::size_t request_size(std::span<const
struct SizeOfText : Echo {
  static std::size_t request_size(std::string_view) { return 0; }
};
TcpServer<SizeOfText> size_of_text{address};

// must not compile: request_size must be `public: static std::size_t request_size(std::span<const
struct SizeOfBytes : Echo {
  static std::size_t request_size(std::span<std::byte>) { return 0; }
};
TcpServer<SizeOfBytes> size_of_bytes{address};

// must not compile: request_size must be `public: static std::size_t request_size(std::span<const
struct SizeOfObject : Echo {
  std::size_t request_size(Bytes) { return 0; }
};
TcpServer<SizeOfObject> size_of_object{address};

// must not compile: request_size must be `public: static std::size_t request_size(std::span<const
struct SizeAsInt : Echo {
  static int request_size(Bytes) { return 0; }
};
TcpServer<SizeAsInt> size_as_int{address};

// must not compile: request_size must be `public: static std::size_t request_size(std::span<const
class SizeHidden : public Echo {
  static std::size_t request_size(Bytes) { return 0; }
};
TcpServer<SizeHidden> size_hidden{address};

// must not compile: request_size must be `public: static std::size_t request_size(std::span<const
struct SizeProtected : Echo {
 protected:
  static std::size_t request_size(Bytes) { return 0; }
};
net::UnixStreamServer<SizeProtected> size_protected{address};

// must not compile: request_size must be `public: static std::size_t request_size(std::span<const
struct SizeOverloaded : Echo {
  static std::size_t request_size(std::string_view) { return 0; }
  static int request_size(Bytes) { return 0; }
};
TcpServer<SizeOverloaded> size_overloaded{address};

// must not compile: request_size must be `public: static std::size_t request_size(std::span<const
struct SizeOfMore : Echo {
  static std::size_t request_size(Bytes, bool) { return 0; }
};
TcpServer<SizeOfMore> size_of_more{address};

// must not compile: request_size must be `public: static std::size_t request_size(std::span<const
struct SizeAsMember : Echo {
  std::size_t request_size = 0;
};
TcpServer<SizeAsMember> size_as_member{address};

// must not compile: request_size must be `public: static std::size_t request_size(std::span<const
struct SizeOfFinal final : Echo {
  static int request_size(Bytes) { return 0; }
};
TcpServer<SizeOfFinal> size_of_final{address};

// must not compile: request_size must be `public: static std::size_t request_size(std::span<const
struct SizeWithoutBase {
  explicit SizeWithoutBase(net::RequestContext&) {}
  static std::size_t request_size(std::string_view) { return 0; }
  Next handle() { return Next::close; }
};
TcpServer<SizeWithoutBase> size_without_base{address};

// must not compile: request_size has no effect beside `void handle()`
struct SizeOfConversation : net::StreamRequestHandler {
  static std::size_t request_size(Bytes received) { return net::line(received); }
  void handle() {}
};
TcpServer<SizeOfConversation> size_of_conversation{address};

// must not compile: request_size needs net::StreamRequestHandler
struct SizeOfRaw : net::BaseRequestHandler {
  static std::size_t request_size(Bytes received) { return net::line(received); }
  Next handle() { return Next::close; }
};
TcpServer<SizeOfRaw> size_of_raw{address};

// must not compile: request_size has no effect beside net::DatagramRequestHandler
struct SizeOfDatagram : net::DatagramRequestHandler {
  static std::size_t request_size(Bytes received) { return net::line(received); }
  void handle() {}
};
UdpServer<SizeOfDatagram> size_of_datagram{address};

// must not compile: request_size has no effect beside `void handle()`
struct SizeOfRawDatagram : net::BaseRequestHandler {
  static std::size_t request_size(Bytes received) { return net::line(received); }
  void handle() {}
};
net::UnixDatagramServer<SizeOfRawDatagram> size_of_raw_datagram{address};

// must not compile: a handler is a class, without `const` and `&`
TcpServer<const Echo> constant_handler{address};

// must not compile: a handler is a class, without `const` and `&`
TcpServer<Echo&> referenced_handler{address};

// must not compile: a handler must not be abstract
struct Abstract : net::StreamRequestHandler {
  virtual Next handle() = 0;
};
TcpServer<Abstract> abstract_handler{address};

// must not compile: a handler's base must be public
class PrivateBase : net::StreamRequestHandler {
 public:
  net::Next handle() { return net::Next::close; }
};
TcpServer<PrivateBase> private_base{address};

// must not compile: a handler's base must be public
class PrivateDatagramBase : net::DatagramRequestHandler {
 public:
  void handle() {}
};
UdpServer<PrivateDatagramBase> private_datagram_base{address};

// --- setup and finish ---------------------------------------------------------------------------

// must not compile: setup must be `public: void setup()`
struct SetupTakes : Echo {
  void setup(int) {}
};
TcpServer<SetupTakes> setup_takes{address};

// must not compile: setup must be `public: void setup()`
class SetupHidden : public Echo {
  void setup() override {}
};
TcpServer<SetupHidden> setup_hidden{address};

// must not compile: setup must be `public: void setup()`
struct SetupReturns {
  explicit SetupReturns(net::RequestContext&) {}
  bool setup() { return false; }
  void handle() {}
};
TcpServer<SetupReturns> setup_returns{address};

// must not compile: finish must be `public: void finish()`
struct FinishTakes : net::DatagramRequestHandler {
  void finish(bool) {}
  void handle() {}
};
UdpServer<FinishTakes> finish_takes{address};

// must not compile: finish must be `public: void finish()`
class FinishHidden {
 public:
  explicit FinishHidden(net::RequestContext&) {}
  void handle() {}

 private:
  void finish() {}
};
TcpServer<FinishHidden> finish_hidden{address};

// --- handle -------------------------------------------------------------------------------------

// must not compile: a handler of connections has a public `net::Next handle()`
struct HandlesNothing : net::StreamRequestHandler {};
TcpServer<HandlesNothing> handles_nothing{address};

// must not compile: a handler of connections has a public `net::Next handle()`
struct HandleReturns : net::StreamRequestHandler {
  bool handle() { return true; }
};
TcpServer<HandleReturns> handle_returns{address};

// must not compile: a handler of connections has a public `net::Next handle()`
struct HandleTakes : net::StreamRequestHandler {
  Next handle(std::string_view) { return Next::close; }
};
net::UnixStreamServer<HandleTakes> handle_takes{address};

// must not compile: a handler of connections has a public `net::Next handle()`
class HandleHidden : public net::StreamRequestHandler {
  Next handle() { return Next::close; }
};
TcpServer<HandleHidden> handle_hidden{address};

// must not compile: a handler is a class, without `const` and `&`
TcpServer<int> no_class{address};

// must not compile: handle must not be static
struct HandleOfClass : net::StreamRequestHandler {
  static Next handle() { return Next::close; }
};
TcpServer<HandleOfClass> handle_of_class{address};

// must not compile: handle has two forms here
struct HandleTwice : net::StreamRequestHandler {
  Next handle() { return Next::close; }
  void handle() const {}
};
TcpServer<HandleTwice> handle_twice{address};

// must not compile: a handler of datagrams has a public `void handle()`
struct NextOfDatagram : net::DatagramRequestHandler {
  Next handle() { return Next::close; }
};
UdpServer<NextOfDatagram> next_of_datagram{address};

// must not compile: a handler of datagrams has a public `void handle()`
net::UnixDatagramServer<Echo> stream_of_datagrams{address};

// must not compile: a handler of frames has a public `void handle()`
net::PacketServer<Echo> stream_of_frames{address};

// must not compile: a handler of connections has a public `net::Next handle()`
struct Datagram : net::DatagramRequestHandler {
  void handle() {}
};
TcpServer<Datagram> datagram_of_connection{address};

// --- what a server is given ---------------------------------------------------------------------

// must not compile: a server takes net::ServerOptions once
TcpServer<Echo> two_options{address, ServerOptions{}, ServerOptions{}};

// must not compile: a server takes its policy's Options once
TcpServer<Echo> two_policies{address, net::ThreadPool::Options{}, net::ThreadPool::Options{}};

// must not compile: a server takes its policy's Options once
const net::SharedPolicy<net::Inline> shared;
TcpServer<Echo, net::Inline> shared_and_own{address, shared, net::Inline::Options{}};

// must not compile: a server takes one object of hooks
TcpServer<Echo> two_hooks{address, hooks, ServerOptions{}, hooks};

// must not compile: a server takes one factory of handlers
TcpServer<Echo> two_factories{address, make, [] { return Echo(); }};

// must not compile: the hooks must outlive the server
TcpServer<Echo> brief_hooks{address, Hooks{}};

// must not compile: the hooks must not be const
const Hooks constant;
TcpServer<Echo> constant_hooks{address, constant};

// must not compile: a server takes net::ServerOptions, its policy's Options or a net::SharedPolicy
TcpServer<Echo> options_of_another{address, net::ForkPerRequest::Options{}};

// must not compile: a server takes net::ServerOptions, its policy's Options or a net::SharedPolicy
TcpServer<Echo> addresses_without_list{address, address};

// must not compile: a server takes net::ServerOptions, its policy's Options or a net::SharedPolicy
TcpServer<Echo> limits_alone{address, net::Limits{}};

// must not compile: the factory must return the server's handler, by value
TcpServer<Echo> factory_of_another{address, [] { return 1; }};

// must not compile: the factory must return the server's handler, by value
TcpServer<Echo> factory_of_pointers{address, [] { return new Echo; }};

// must not compile: a server takes a net::Address
TcpServer<Echo> name_for_address{"127.0.0.1", 9999};

// must not compile: a server takes a net::Address
TcpServer<Echo> port_for_address{9999};

// must not compile: a server takes a net::Address
TcpServer<Echo> no_address{ServerOptions{}, hooks};

// must not compile: a server takes a net::Address
UdpServer<Datagram> text_for_address{std::string_view("localhost:9999"), hooks};

// --- policies -----------------------------------------------------------------------------------

// must not compile: a policy has a type `Options`
struct NoPolicy {};
TcpServer<Echo, NoPolicy> no_policy{address};

// must not compile: a policy has `net::DrainReport drain(net::Deadline)`
struct NeverDrains {
  struct Options {};
  NeverDrains(Options, net::PolicyContext&) {}
  void process(net::Request) {}
};
TcpServer<Echo, NeverDrains> never_drains{address};

// must not compile: a policy has `net::DrainReport drain(net::Deadline)`
struct DrainsSilently {
  struct Options {};
  DrainsSilently(Options, net::PolicyContext&) {}
  void process(net::Request) {}
  void drain(net::Deadline) {}
};
TcpServer<Echo, DrainsSilently> drains_silently{address};

// must not compile: a policy has a constructor from `(Options, net::PolicyContext&)`
struct WithoutOptions {
  struct Options {};
  explicit WithoutOptions(net::PolicyContext&) {}
  void process(net::Request) {}
  net::DrainReport drain(net::Deadline) { return {}; }
};
net::UnixStreamServer<Echo, WithoutOptions> without_options{address};

// The functions that the following policies have right.
struct SomePolicy {
  struct Options {};
  SomePolicy(Options, net::PolicyContext&) {}
  void process(net::Request) {}
  net::DrainReport drain(net::Deadline) { return {}; }
};

// must not compile: a policy has `void process(net::Request)`
struct TakesReference : SomePolicy {
  using SomePolicy::SomePolicy;
  void process(net::Request&) {}
};
TcpServer<Echo, TakesReference> takes_reference{address};

// must not compile: a policy's start must be `void start()`
struct StartTakes : SomePolicy {
  using SomePolicy::SomePolicy;
  void start(int) {}
};
TcpServer<Echo, StartTakes> start_takes{address};

// must not compile: a policy's expire must be `void expire()`
struct ExpireTakes : SomePolicy {
  using SomePolicy::SomePolicy;
  void expire(net::Deadline) {}
};
UdpServer<Datagram, ExpireTakes> expire_takes{address};

// must not compile: a policy's load must be `net::PolicyLoad load()`
struct LoadIsNumber : SomePolicy {
  using SomePolicy::SomePolicy;
  int load() { return 0; }
};
TcpServer<Echo, LoadIsNumber> load_is_number{address};

// --- hooks --------------------------------------------------------------------------------------

// must not compile: server_bind must be `void server_bind(net::Socket&, const net::Address&)`
struct BindsConstant : net::ServerHooks {
  void server_bind(const net::Socket&, const net::Address&) {}
};
BindsConstant binds_constant;
TcpServer<Echo> constant_listener{address, binds_constant};

// must not compile: server_activate must be `void server_activate(net::Socket&, int)`
struct ActivatesNothing : net::ServerHooks {
  void server_activate(net::Socket&) {}
};
ActivatesNothing activates_nothing;
TcpServer<Echo> no_backlog{address, activates_nothing};

// must not compile: verify_request must be `bool verify_request(const net::Socket&, const net::Addr
struct VerifiesAddress : net::ServerHooks {
  bool verify_request(const Address&) { return false; }
};
VerifiesAddress verifies_address;
TcpServer<Echo> not_verified{address, verifies_address};

// must not compile: verify_request must be `bool verify_request(const net::Socket&, const net::Addr
struct VerifiesConstant : net::ServerHooks {
  bool verify_request(const net::Socket&, const Address&) const { return false; }
};
VerifiesConstant verifies_constant;
UdpServer<Datagram> constant_verifier{address, verifies_constant};

// must not compile: on_overload must be `std::string on_overload(const net::Address&)`
struct OverloadsWithText : net::ServerHooks {
  std::string_view on_overload(const Address&, int) { return "later"; }
};
OverloadsWithText overloads_with_text;
TcpServer<Echo> other_word{address, overloads_with_text};

// must not compile: on_bad_request must be `std::string on_bad_request(const net::Address&, net::Ba
struct BadWithoutWhy : net::ServerHooks {
  std::string on_bad_request(const Address&) { return {}; }
};
BadWithoutWhy bad_without_why;
TcpServer<Echo> no_why{address, bad_without_why};

// must not compile: on_close must be `void on_close(const net::ClosedConnection&)`
struct ClosesAddress : net::ServerHooks {
  void on_close(const Address&) {}
};
ClosesAddress closes_address;
TcpServer<Echo> not_told_of_ends{address, closes_address};

// must not compile: on_request must be `void on_request(const net::RequestRecord&)`
struct RequestByValue : net::ServerHooks {
  void on_request(net::RequestRecord) {}
};
RequestByValue request_by_value;
TcpServer<Echo> not_told_of_requests{address, request_by_value};

// must not compile: service_actions must be `void service_actions()`
struct ActsOn : net::ServerHooks {
  void service_actions(net::BaseServer&) {}
};
ActsOn acts_on;
TcpServer<Echo> never_acts{address, acts_on};

// must not compile: handle_timeout must be `void handle_timeout()`
struct TimesOut : net::ServerHooks {
  void handle_timeout(int) {}
};
TimesOut times_out;
TcpServer<Echo> never_times_out{address, times_out};

// must not compile: handle_listener_error must be `void handle_listener_error(const net::Address&,
struct ListenerDies : net::ServerHooks {
  void handle_listener_error(const Address&) {}
};
ListenerDies listener_dies;
TcpServer<Echo> never_told{address, listener_dies};

// must not compile: handle_error must be `void handle_error(const net::RequestError&)`
struct ErrorOfAddress : net::ServerHooks {
  void handle_error(const Address&) {}
};
ErrorOfAddress error_of_address;
TcpServer<Echo> errors_lost{address, error_of_address};

// must not compile: report must be `void report(const net::Event&)`
struct ReportsText : net::ServerHooks {
  void report(std::string_view) {}
};
ReportsText reports_text;
TcpServer<Echo> reports_lost{address, reports_text};

// --- what is the library's own ------------------------------------------------------------------

// must not compile: must be imported from module 'net.server'
void bound(net::BoundHandler&);

// must not compile: must be imported from module 'net.server'
void maker(net::HandlerMaker&);

// must not compile: must be imported from module 'net.server'
void connection(net::Connection&);

// must not compile: must be imported from module 'net.server'
void access(net::RequestAccess&);

// must not compile: must be imported from module 'net.server'
void lot(net::OwnParkingLot&);

// must not compile: must be imported from module 'net.server'
void policy(net::AnyPolicy&);

// must not compile: must be imported from module 'net.server'
void parts(net::AnyServerParts&);

// must not compile: must be imported from module 'net.server'
void engine(net::Engine&);

// must not compile: must be imported from module 'net.server'
const auto owned = net::owned(nullptr);

// must not compile: 'release' is a private member of 'net::Request'
void release(net::Request& request) { request.release(); }

// must not compile: no member named 'push' in 'net::ParkingLot'
void push(net::ParkingLot& lot) { lot.push({}); }

// must not compile: calling a protected constructor of class 'net::ParkingLot'
net::ParkingLot own_lot;

// must not compile: no member named 'dispatch' in 'net::PolicyContext'
void dispatch(net::PolicyContext& context) { context.dispatch(); }

// must not compile: calling a protected constructor of class 'net::PolicyContext'
net::PolicyContext own_context;

// must not compile: 'any_' is a private member of 'net::SharedPolicy<net::ThreadPool>'
void any(net::SharedPolicy<net::ThreadPool>& pool) { pool.any_.reset(); }

}  // namespace
