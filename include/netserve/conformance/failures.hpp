// A part of <netserve/policy_conformance.hpp>: handlers that throw, and datagrams.
#pragma once

namespace net::conformance {

enum class Where : std::uint8_t { make, setup, handle, finish };

inline const char* name_of(Where where) {
  switch (where) {
    case Where::make: return "the constructor";
    case Where::setup: return "setup";
    case Where::handle: return "handle";
    case Where::finish: return "finish";
  }
  return "";
}

/// A handler that answers "fine\n", or throws at the given place if `bad` is set.
inline Script throwing(Record& record, Where where, const std::atomic<bool>& bad) {
  Script script(record);
  const auto throws_at = [where, &bad](Where here) {
    return [throws = where == here, &bad] {
      if (throws && bad) throw std::runtime_error("thrown by a test");
    };
  };
  script.make = throws_at(Where::make);
  script.setup = throws_at(Where::setup);
  script.finish = throws_at(Where::finish);
  const auto handle = throws_at(Where::handle);
  script.step = [handle](Stream& handler) {
    handler.rfile.read_line();
    handle();
    handler.wfile.write("fine\n");
    return net::Next::close;
  };
  script.converse = [handle](Stream& handler) {
    handler.rfile.read_line();
    handle();
    handler.wfile.write("fine\n");
  };
  script.answer = [handle](Packet& handler) {
    handle();
    handler.reply("fine\n");
  };
  return script;
}

inline void an_exception_ends_its_own_connection(Trial& trial, Form form) {
  for (const Where where : {Where::make, Where::setup, Where::handle, Where::finish}) {
    const Shared<std::atomic<bool>> bad;
    const Script script = throwing(*trial.record, where, *bad);
    const int errors = trial.hooks.errors();
    const auto server = trial.server({form, script, quick()});
    Serving serving(trial, *server);
    const std::string place = name_of(where);
    trial.step("the end of a connection after an exception in " + place);
    *bad = true;
    Client unlucky(*server);
    unlucky.send("go\n");
    Trial::check(unlucky.sees_end(), "the policy kept a connection open after an exception in " +
                                         place + " of its handler");
    Trial::check(soon([&] { return server->stats().ended() == 1; }),
                 "the policy did not end a request after an exception in " + place);
    *bad = false;
    for (int i = 0; i < 3; ++i) {
      Trial::check(Client(*server).ask("fine\n") == "fine\n",
                   "the policy serves nobody any more after an exception in " + place);
    }
    serving.stop();
    const int told = trial.hooks.errors() - errors;
    Trial::check(told == 1, "an exception in " + place + " was told to handle_error " +
                                std::to_string(told) + " times instead of once");
  }
}

inline void every_datagram_is_answered_once(Trial& trial) {
  constexpr std::size_t count = 200;
  const Shared<Runs> runs;
  const Script script = echo(*trial.record, *runs);
  const auto server = trial.server({Form::datagrams, script, quick()});
  Serving serving(trial, *server);
  std::array clients{PacketClient(*server), PacketClient(*server)};
  std::set<std::string> expected;
  std::size_t unanswered = 0;
  bool strange = false;
  trial.step("the answers to 200 datagrams");
  for (std::size_t number = 0; number < count; number += 10) {
    PacketClient& client = clients[number / 10 % 2];
    for (std::size_t i = number; i < number + 10; ++i) {
      expected.insert(line(i));
      client.send(line(i));
    }
    // After one dropped datagram, the following waits are short.
    while (!expected.empty()) {
      const std::string got =
          client.receive(unanswered == 0 ? milliseconds(2000) : milliseconds(50));
      if (got.empty()) break;
      strange = expected.erase(got) == 0 || strange;
    }
    unanswered += expected.size();
    expected.clear();
  }
  Trial::check(unanswered == 0, "the policy dropped a request: " + std::to_string(unanswered) +
                                    " of 200 datagrams got no answer");
  Trial::check(!strange, "the policy ran one request twice: a datagram was answered a second time");
  runs->check_once("datagram");
}

inline void an_exception_ends_its_own_datagram(Trial& trial) {
  for (const Where where : {Where::make, Where::setup, Where::handle}) {
    const Shared<std::atomic<bool>> bad;
    const Script script = throwing(*trial.record, where, *bad);
    const auto server = trial.server({Form::datagrams, script, quick()});
    Serving serving(trial, *server);
    const std::string place = name_of(where);
    trial.step("a datagram whose handler throws in " + place);
    PacketClient client(*server);
    *bad = true;
    client.send("go");
    Trial::check(soon([&] { return server->stats().ended() == 1; }),
                 "the policy did not end a datagram after an exception in " + place);
    *bad = false;
    Trial::check(client.ask("go") == "fine\n",
                 "the policy serves no datagram any more after an exception in " + place);
  }
}

inline constexpr std::array failure_cases{
    Case{"an_exception_ends_its_own_connection",
         [](Trial& trial) { an_exception_ends_its_own_connection(trial, Form::lines); }},
    Case{"an_exception_ends_its_own_conversation",
         [](Trial& trial) { an_exception_ends_its_own_connection(trial, Form::conversation); }},
    Case{"datagrams_are_answered_once", every_datagram_is_answered_once},
    Case{"an_exception_ends_its_own_datagram", an_exception_ends_its_own_datagram},
};

}  // namespace net::conformance
