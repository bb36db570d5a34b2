// A part of <netserve/policy_conformance.hpp>: tests of requests that wait for a slot in a policy
// that has one, and of eviction.
#pragma once

namespace net::conformance {

/// Returns a script that sends "hello\n", then echoes lines until the end of the stream.
inline Script talk(Record& record) {
  Script script = lines_echo(record);
  script.converse = [](Stream& handler) {
    handler.wfile.write("hello\n");
    while (const auto text = handler.rfile.read_line()) handler.wfile.write(*text);
  };
  return script;
}

inline bool greets(Client& client) { return client.receive(6) == "hello\n"; }

inline void a_conversation_that_waits_is_served_next(Trial& trial) {
  const Script script = talk(*trial.record);
  const auto server = trial.server({Form::conversation, script, quick(), Places::one});
  Serving serving(trial, *server);
  trial.step("a conversation that waits for another one");
  Client first(*server);
  Trial::check(greets(first), "the policy dropped a conversation: the client was not greeted");
  Client second(*server);
  Client third(*server);
  Trial::check(soon([&] { return server->stats().accepted >= 2; }),
               "process waits while a conversation runs, so nobody is accepted");
  Trial::check(first.ask("text\n") == "text\n", "a conversation ended when another one came");
  // The policy decides which one runs next, so none of the clients may wait for another.
  for (Client* const client : {&first, &second, &third}) client->end_sending();
  for (Client* const client : {&second, &third}) {
    Trial::check(greets(*client),
                 "the policy did not run a conversation that waited when its place was free");
  }
}

/// Any order is allowed, but each conversation must be served in the end.
inline void others_that_keep_coming_starve_no_conversation(Trial& trial) {
  constexpr std::size_t waiting = 4;
  constexpr int rounds = 40;
  const Script script = talk(*trial.record);
  const auto server = trial.server({Form::conversation, script, quick(), Places::one});
  Serving serving(trial, *server);
  trial.step("a conversation that waits while others keep coming");
  const net::Deadline until = 3 * patience;
  std::list<Client> clients;
  auto served = clients.emplace(clients.end(), *server, until);
  Trial::check(greets(*served), "the policy dropped a conversation: the client was not greeted");
  const auto patient = clients.emplace(clients.end(), *server, until);
  for (int round = 0; round < rounds; ++round) {
    // The next client connects before the slot is free.
    while (clients.size() <= waiting) {
      clients.emplace_back(*server, until);
      const std::size_t count = clients.size() - 1;
      const bool queued = soon([&] { return server->stats().waiting >= count; });
      if (!Trial::check(queued, "process waits while a conversation runs, so nobody is accepted"))
        return;
    }
    served->end_sending();
    auto next = clients.end();
    const bool came = soon([&] {
      next = std::find_if(clients.begin(), clients.end(),
                          [&](Client& one) { return &one != &*served && one.has_input(); });
      return next != clients.end();
    });
    if (!Trial::check(came && greets(*next),
                      "the policy did not run a conversation that waited when its place was free"))
      return;
    clients.erase(served);
    served = next;
    if (served == patient) return;
  }
  Trial::check(false, "the policy starves a conversation: " + std::to_string(rounds) +
                          " that came later were served before it");
}

inline void a_conversation_that_waits_too_long_is_shed(Trial& trial) {
  const Script script = talk(*trial.record);
  net::ServerOptions options = quick();
  options.limits.request = 200ms;
  const auto server = trial.server({Form::conversation, script, options, Places::one});
  Serving serving(trial, *server);
  Client first(*server);
  Trial::check(greets(first), "the policy dropped a conversation: the client was not greeted");
  Client second(*server);
  trial.step("a conversation that waits in the queue for longer than its limit");
  if (trial.subject.expires) {
    Trial::check(second.receive_all().empty(),
                 "the policy ran two conversations at a time with the options of one_place");
    Trial::check(second.sees_end(),
                 "expire did not end a conversation that waited for longer than its limit");
    Trial::check(first.ask("text\n") == "text\n", "expire ended a conversation that was running");
  } else {
    soon([&] { return server->stats().accepted == 2; });
    std::this_thread::sleep_for(2 * options.limits.request);  // the test is about time itself
  }
  first.end_sending();
  Trial::check(second.receive_all().empty() && second.sees_end(),
               "the policy ran a conversation that had waited for longer than its limit");
  const bool shed = soon([&] { return server->stats().shed_waiting == 1; });
  Trial::check(shed, "a conversation that waited too long was not counted as shed");
}

/// One conversation has waited for too long, and another one has not.
inline void only_a_conversation_that_waits_too_long_is_shed(Trial& trial) {
  const Script script = talk(*trial.record);
  trial.step("two conversations that wait, of which one is overdue");
  // On a busy machine the second one may be overdue as well before this test goes on.
  for (milliseconds limit = 1s; limit <= 4s; limit *= 2) {
    net::ServerOptions options = quick();
    options.limits.request = limit;
    const auto server = trial.server({Form::conversation, script, options, Places::one});
    Serving serving(trial, *server);
    Client first(*server);
    Trial::check(greets(first), "the policy dropped a conversation: the client was not greeted");
    Client late(*server);
    std::this_thread::sleep_for(limit / 2);  // the test is about time itself
    const auto came = Clock::now();
    Client fresh(*server);
    Trial::check(late.sees_end(),
                 "expire did not end a conversation that waited for longer than its limit");
    first.end_sending();
    const bool served = greets(fresh);
    if (served || Clock::now() - came < limit) {
      Trial::check(served,
                   "expire ended a conversation that had not waited for longer than its limit");
      return;
    }
  }
}

/// If the policy itself receives datagrams, it leaves the second one in the kernel, and answers it
/// later.
inline void a_datagram_that_waits_too_long_is_shed(Trial& trial) {
  Gate entered;
  Gate released;
  Script script(*trial.record);
  script.answer = [&](Packet& handler) {
    entered.open();
    released.wait();
    handler.reply(handler.text());
  };
  net::ServerOptions options = quick();
  options.limits.request = 200ms;
  const auto server = trial.server({Form::datagrams, script, options, Places::one});
  Serving serving(trial, *server);
  PacketClient client(*server);
  client.send("first");
  Trial::check(entered.wait(), "the policy dropped a datagram: its handler was not called");
  trial.step("a datagram that waits in the queue for longer than its limit");
  client.send("second");
  const bool taken = soon([&] { return server->stats().accepted == 2; }, 500ms);
  if (taken && trial.subject.expires) {
    Trial::check(soon([&] { return server->stats().shed_waiting == 1; }),
                 "expire did not end a datagram that waited for longer than its limit");
  } else if (taken) {
    std::this_thread::sleep_for(2 * options.limits.request);  // the test is about time itself
  }
  released.open();
  Trial::check(client.receive() == "first", "the policy dropped a datagram");
  if (!taken)
    Trial::check(client.receive() == "second", "the policy dropped a datagram that waited");
  Trial::check(client.ask("third") == "third",
               "the policy ran a datagram that had waited too long, or serves none any more");
}

inline void what_waits_at_the_deadline_of_a_drain_ends(Trial& trial) {
  Gate begun;
  Script script(*trial.record);
  script.converse = [&](Stream& handler) {
    const std::string block(1'000'000, 'x');
    for (;;) {
      handler.wfile.write(block);
      begun.open();
    }
  };
  const auto server = trial.server({Form::conversation, script, quick(), Places::one});
  Serving serving(trial, *server);
  Client deaf = Client::deaf(*server);
  Trial::check(begun.wait(), "the policy dropped a conversation: its handler was not called");
  Client second(*server);
  soon([&] { return server->stats().accepted == 2; });
  const auto begin = Clock::now();
  serving.stop(100ms);
  const auto took = Clock::now() - begin;
  Trial::check(
      took < 100ms + after_deadline,
      "drain took " + in_ms(took) + " with a deadline of 100 ms, as a conversation waited");
  Trial::check(soon([&] { return server->stats().ended() == 2; }),
               "a conversation that waited is stuck after the drain");
  Trial::check(second.receive_all().empty() && second.sees_end(),
               "a conversation that waited was not ended by the drain");
}

inline void without_a_place_clients_are_rejected(Trial& trial) {
  const Script script = talk(*trial.record);
  const auto server = trial.server({Form::conversation, script, quick(), Places::one_rejecting});
  Serving serving(trial, *server);
  trial.step("a client that is rejected");
  Client first(*server);
  Trial::check(greets(first), "the policy dropped a conversation: the client was not greeted");
  Client second(*server);
  Trial::check(second.receive_all().empty() && second.sees_end(),
               "the policy did not reject a client for whom it had no place");
  Trial::check(soon([&] { return server->stats().shed_rejected == 1; }),
               "a client that was rejected was not counted: the policy did not call reject");
  Trial::check(first.ask("text\n") == "text\n", "a conversation ended when another was rejected");
  first.end_sending();
  first.sees_end();
  const bool served = soon([&] {
    Client next(*server);
    return greets(next);
  });
  Trial::check(served, "the policy rejects clients although it has a place again");
}

inline void without_a_place_the_silent_are_evicted(Trial& trial) {
  const Script script = talk(*trial.record);
  const auto server = trial.server({Form::conversation, script, quick(), Places::one_evicting});
  Serving serving(trial, *server);
  trial.step("a client that needs the place of a silent one");
  Client first(*server);
  Trial::check(greets(first), "the policy dropped a conversation: the client was not greeted");
  Client second(*server);
  Trial::check(greets(second),
               "the policy did not evict a silent conversation: a client waits for ever");
  Trial::check(first.sees_end(), "the conversation that was evicted did not end");
  Trial::check(second.ask("text\n") == "text\n", "a conversation ended that was not silent");
  Trial::check(
      soon([&] { return server->stats().shed_evicted == 1; }),
      "a conversation that was evicted was not counted: the policy did not call evict_idle");
}

/// Here the slots are the server's, not the policy's: the server evicts a parked connection.
inline void a_parked_connection_can_be_evicted(Trial& trial) {
  const Script script = lines_echo(*trial.record);
  net::ServerOptions options = quick();
  options.max_connections = 2;
  options.overload = net::Overload::evict_idle;
  const auto server = trial.server({Form::lines, script, options});
  Serving serving(trial, *server);
  trial.step("a client that needs the place of a silent one");
  std::list<Client> clients;
  for (int i = 0; i < 5; ++i) {
    Trial::check(
        clients.emplace_back(*server).ask("text\n") == "text\n",
        "no silent connection could be evicted: a client got no answer beside two silent ones");
  }
  Trial::check(soon([&] { return server->stats().shed_evicted == 3; }),
               "connections that were evicted came to another end");
  Trial::check(clients.back().ask("again\n") == "again\n",
               "a connection was evicted that had not been silent for longest");
}

inline constexpr auto has_one = [](const Subject& subject) { return subject.has_one; };
inline constexpr std::array waiting_cases{
    Case{"a_conversation_that_waits_is_served_next", a_conversation_that_waits_is_served_next,
         has_one},
    Case{"others_that_keep_coming_starve_no_conversation",
         others_that_keep_coming_starve_no_conversation, has_one},
    Case{"only_a_conversation_that_waits_too_long_is_shed",
         only_a_conversation_that_waits_too_long_is_shed,
         [](const Subject& subject) { return subject.has_one && subject.expires; }},
    Case{"a_conversation_that_waits_too_long_is_shed", a_conversation_that_waits_too_long_is_shed,
         has_one},
    Case{"a_datagram_that_waits_too_long_is_shed", a_datagram_that_waits_too_long_is_shed, has_one},
    Case{"what_waits_at_the_deadline_of_a_drain_ends", what_waits_at_the_deadline_of_a_drain_ends,
         has_one},
    Case{"without_a_place_clients_are_rejected", without_a_place_clients_are_rejected,
         [](const Subject& subject) { return subject.has_rejecting; }},
    Case{"without_a_place_the_silent_are_evicted", without_a_place_the_silent_are_evicted,
         [](const Subject& subject) { return subject.has_evicting; }},
    Case{"a_parked_connection_can_be_evicted", a_parked_connection_can_be_evicted},
};

}  // namespace net::conformance
