// A part of <netserve/policy_conformance.hpp>: a policy under test, independent of its type.
// Included after the import, so it includes nothing.
#pragma once

namespace net::conformance {

/// Records the actions of handlers and of the policy, for all processes of a test.
struct Record {
  const int process = ::getpid();
  std::atomic<int> running{0};      // running calls of handle in this process
  std::atomic<int> overlapping{0};  // concurrent calls of one handler
  std::atomic<int> begun_after_drain{0};
  std::atomic<int> processed_after_drain{0};
  std::atomic<bool> drained{false};  // drain has returned, or thrown
  std::atomic<std::uint64_t> stuck{0};
  std::atomic<int> running_at_drain{0};          // in this process, when drain returned
  std::atomic<std::int64_t> beyond_deadline{0};  // how many ms too late drain returned
};

class Stream;
class Bare;
class Packet;

/// The actions of a server's handlers. Must outlive the server.
struct Script {
  explicit Script(Record& of) : record(of) {}

  Record& record;
  std::function<net::Next(Stream&)> step;     // for the forms `lines` and `some`
  std::function<void(Stream&)> converse;      // for the form `conversation`
  std::function<net::Next(Bare&)> bare_step;  // for the form `bare`
  std::function<void(Bare&)> bare_converse;   // for the form `bare_conversation`
  std::function<void(Packet&)> answer;        // for the form `datagrams`
  // For all forms; these may throw.
  std::function<void()> make = [] {};
  std::function<void()> setup = [] {};
  std::function<void()> finish = [] {};
};

/// Records a call of `handle`.
class Visit {
 public:
  struct Inside {
    std::atomic<bool> taken{false};
    int calls = 0;  // deliberately not atomic: the calls must not overlap
  };
  Visit(Record& record, Inside& inside) : record_(record), inside_(inside) {
    if (inside_.taken.exchange(true)) ++record_.overlapping;
    if (record_.drained) ++record_.begun_after_drain;
    ++inside_.calls;
    if (here_) ++record_.running;
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit() {
    if (here_) --record_.running;
    inside_.taken = false;
  }

 private:
  Record& record_;
  Inside& inside_;
  const bool here_ = ::getpid() == record_.process;
};

class Stream : public net::StreamRequestHandler {
 public:
  explicit Stream(const Script& given) : script(given) { script.make(); }
  void setup() override { script.setup(); }
  void finish() override { script.finish(); }
  using net::BaseRequestHandler::context;
  using net::StreamRequestHandler::rfile;
  using net::StreamRequestHandler::wfile;
  const Script& script;
  Visit::Inside inside;
};
class Bare : public net::BaseRequestHandler {
 public:
  explicit Bare(const Script& given) : script(given) { script.make(); }
  void setup() override { script.setup(); }
  void finish() override { script.finish(); }
  using net::BaseRequestHandler::context;
  using net::BaseRequestHandler::request;
  const Script& script;
  Visit::Inside inside;
};
class Packet : public net::DatagramRequestHandler {
 public:
  explicit Packet(const Script& given) : script(given) { script.make(); }
  void setup() override { script.setup(); }
  void finish() override { script.finish(); }
  void handle() {
    const Visit visit(script.record, inside);
    script.answer(*this);
  }
  std::string text() const {
    return {reinterpret_cast<const char*>(packet().data()), packet().size()};
  }
  using net::DatagramRequestHandler::reply;
  const Script& script;
  Visit::Inside inside;
};
struct Some : Stream {
  using Stream::Stream;
  net::Next handle() {
    const Visit visit(script.record, inside);
    return script.step(*this);
  }
};
struct Lines : Some {
  using Some::Some;
  static std::size_t request_size(std::span<const std::byte> received) {
    return net::line(received);
  }
};
struct Conversation : Stream {
  using Stream::Stream;
  void handle() {
    const Visit visit(script.record, inside);
    script.converse(*this);
  }
};
struct BareSome : Bare {
  using Bare::Bare;
  net::Next handle() {
    const Visit visit(script.record, inside);
    return script.bare_step(*this);
  }
};
struct BareConversation : Bare {
  using Bare::Bare;
  void handle() {
    const Visit visit(script.record, inside);
    script.bare_converse(*this);
  }
};

/// The forms of handlers: `net::Next handle()` with and without framing, `void handle()`, the same
/// two without buffers, and datagrams.
enum class Form : std::uint8_t { lines, some, conversation, bare, bare_conversation, datagrams };

/// Which options of `PolicySetup` the policy gets.
enum class Places : std::uint8_t { any, one, one_rejecting, one_evicting };

/// The parts of a server for a test.
struct Plan {
  Form form = Form::lines;
  const Script& script;
  net::ServerOptions options = {};
  Places places = Places::any;
  net::Address address = {"127.0.0.1", 0};
};

/// Servers that share one object of the policy.
class Group {
 public:
  Group() = default;
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  virtual ~Group() = default;
  virtual std::unique_ptr<net::BaseServer> server(const Plan& plan, net::ServerHooks& hooks) = 0;
};

/// A policy under test.
class Subject {
 public:
  Subject() = default;
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;
  virtual ~Subject() = default;

  virtual std::unique_ptr<net::BaseServer> server(const Plan& plan,
                                                  net::ServerHooks& hooks) const = 0;
  virtual std::unique_ptr<Group> group(Record& record) const = 0;

  std::string name;
  bool starts = false;   // has `start`
  bool expires = false;  // has `expire`
  bool loads = false;    // has `load`
  bool has_one = false;  // the setup has `one_place`; likewise below
  bool has_rejecting = false;
  bool has_evicting = false;
  bool shareable = true;
  bool own_threads = true;
};

}  // namespace net::conformance
