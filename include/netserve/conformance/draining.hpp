// A part of <netserve/policy_conformance.hpp>: tests of draining.
#pragma once

namespace net::conformance {

/// How long after its deadline a drain may return. The guarantee is 100 ms; the rest is for busy
/// machines.
inline constexpr milliseconds after_deadline = 600ms;

inline std::string in_ms(Clock::duration time) {
  return std::to_string(std::chrono::duration_cast<milliseconds>(time).count()) + " ms";
}

/// Closes the server, and stores in `took` how long that took.
inline net::DrainReport timed_close(net::BaseServer& server, net::Deadline deadline,
                                    Clock::duration& took) {
  const auto begin = Clock::now();
  const net::DrainReport report = server.server_close(deadline);
  took = Clock::now() - begin;
  return report;
}

inline void idle_clients_are_closed_by_a_drain(Trial& trial) {
  const Script script = lines_echo(*trial.record);
  const auto server = trial.server({Form::lines, script, quick()});
  Serving serving(trial, *server);
  Client silent(*server);
  Client answered(*server);
  answered.ask("hello\n");
  soon([&] { return server->stats().accepted == 2; });
  const auto begin = Clock::now();
  const net::DrainReport report = serving.stop();
  const auto took = Clock::now() - begin;
  Trial::check(took < 5s, "drain took " + in_ms(took) + " although all clients were idle");
  Trial::check(report.cut + report.dropped + report.stuck == 0,
               "a drain had to cut idle clients: the policy keeps them");
  Trial::check(silent.sees_end() && answered.sees_end(),
               "an idle client is still connected after the drain");
}

inline void a_drain_waits_for_what_is_in_hand(Trial& trial, net::Deadline deadline) {
  Gate entered;
  Script script(*trial.record);
  script.step = [&entered](Stream& handler) {
    handler.rfile.read_line();
    entered.open();
    const bool stopping = soon([&] { return handler.context().stopping(); });
    handler.wfile.write(stopping ? "stopping\n" : "serving\n");
    return net::Next::keep;
  };
  const auto server = trial.server({Form::lines, script, quick()});
  Serving serving(trial, *server);
  Client client(*server);
  client.send("go\n");
  trial.step("the handler of a request");
  Trial::check(entered.wait(), "the policy dropped a request: its handler was not called");
  trial.step("a drain while a request is in hand");
  const net::DrainReport report = serving.stop(deadline);
  Trial::check(client.receive_all() == "stopping\n",
               "the drain did not wait for a request in hand: its client got no answer");
  Trial::check(report.cut + report.dropped + report.stuck == 0,
               "the drain ended a request in hand before its time was over");
}

inline void a_drain_serves_who_had_got_through_to_the_kernel(Trial& trial) {
  const Script script = lines_echo(*trial.record);
  const auto server = trial.server({Form::lines, script, quick()});
  Client client(*server);
  client.send("hello\n");
  client.end_sending();
  trial.step("the end of a server that never served");
  server->server_close(patience);
  Trial::check(client.receive_all() == "hello\n",
               "the policy dropped a request that came before its server was closed");
}

/// A handler that opens one gate when it has its request, and returns when the other is opened.
inline Script holding(Record& record, Gate& entered, const Gate& released) {
  Script script(record);
  script.step = [&entered, &released](Stream& handler) {
    handler.rfile.read_line();
    entered.open();
    released.wait(30s);
    return net::Next::close;
  };
  return script;
}

/// A handler that no call of the library can end, in a thread or a child of the policy.
inline void a_stuck_handler_does_not_hold_up_a_drain(Trial& trial, Form form) {
  Gate entered;
  Gate released;
  Script script = holding(*trial.record, entered, released);
  script.converse = [&](Stream& handler) { script.step(handler); };
  auto server = trial.server({form, script, quick()});
  std::optional<Serving> serving(std::in_place, trial, *server);
  Client client(*server);
  client.send("go\n");
  trial.step("the handler of a request");
  Trial::check(entered.wait(), "the policy dropped a request: its handler was not called");
  Later later(released, 3s);
  trial.step("a drain of 200 ms while a handler is stuck");
  Clock::duration took{};
  timed_close(*server, 200ms, took);
  Trial::check(took < 200ms + after_deadline,
               "drain took " + in_ms(took) + " with a deadline of 200 ms, as a handler was stuck");
  const Record& record = *trial.record;
  Trial::check(!record.drained || record.running_at_drain == 0 || record.stuck > 0,
               "drain reported that nothing is stuck, while a handler ran");
  Trial::check(client.sees_end(), "a client is still connected after the deadline of the drain");
  later.open();
  trial.step("the destructor, which waits for what was stuck");
  serving.reset();
  server.reset();
  Trial::check(soon([&] { return record.running == 0; }, 1s),
               "the destructor did not wait for a handler that was stuck");
}

/// Checks that no handler begins after drain has returned: some requests are stuck, and others wait
/// behind them, when the server drains.
inline void nothing_begins_after_drain(Trial& trial) {
  Gate entered;
  Gate released;
  const Script script = holding(*trial.record, entered, released);
  auto server = trial.server({Form::lines, script, quick()});
  std::optional<Serving> serving(std::in_place, trial, *server);
  std::list<Client> clients;
  for (int i = 0; i < 12; ++i) clients.emplace_back(*server).send("go\n");
  Trial::check(entered.wait(), "the policy dropped a request: its handler was not called");
  Later later(released, 3s);
  trial.step("a drain while twelve requests are stuck or wait");
  Clock::duration took{};
  timed_close(*server, 100ms, took);
  Trial::check(took < 100ms + after_deadline,
               "drain took " + in_ms(took) + " with a deadline of 100 ms");
  later.open();
  serving.reset();
  const auto kept = [&] { return server->stats().accepted - server->stats().ended(); };
  if (!soon([&] { return kept() == 0; }, 5s)) {
    Trial::check(false, "the policy keeps requests after drain, neither run nor destroyed: " +
                            std::to_string(kept()));
  }
  trial.step("the destructor of the server, which waits until all its requests have ended");
  server.reset();
  // The end of each test checks that no handler began after drain.
}

inline void the_threads_end_with_drain(Trial& trial) {
  const Script script = lines_echo(*trial.record);
  const auto server = trial.server({Form::lines, script, quick()});
  Serving serving(trial, *server);
  for (int i = 0; i < 3; ++i) Client(*server).ask("hello\n");
  const net::DrainReport report = serving.stop();
  Trial::check(report.stuck == 0, "drain reported that something is stuck, and nothing ran");
  const std::size_t before = trial.threads_before();
  if (!soon([&] { return threads_of_this_process() <= before; }, 2s)) {
    Trial::check(false, "process ran after drain returned: threads of the policy that are left: " +
                            std::to_string(threads_of_this_process() - before) +
                            ", and drain reported none as stuck");
  }
  Trial::check(soon([] { return !has_children(); }, 2s),
               "process ran after drain returned: children of the policy are left");
}

inline void who_reads_nothing_is_cut_at_the_deadline(Trial& trial, Form form) {
  Gate begun;
  Script script(*trial.record);
  script.step = [&](Stream& handler) {
    handler.rfile.read_line();
    const std::string block(1'000'000, 'x');
    for (;;) {
      handler.wfile.write(block);
      begun.open();
    }
    return net::Next::close;
  };
  script.converse = [&](Stream& handler) { script.step(handler); };
  const auto server = trial.server({form, script, quick()});
  Serving serving(trial, *server);
  Client client = Client::deaf(*server);
  client.send("go\n");
  Trial::check(begun.wait(), "the policy dropped a request: its handler was not called");
  trial.step("a drain of 200 ms beside a client that reads nothing");
  const auto begin = Clock::now();
  serving.stop(200ms);
  const auto took = Clock::now() - begin;
  Trial::check(
      took < 200ms + after_deadline,
      "drain took " + in_ms(took) + " with a deadline of 200 ms, as a client read nothing");
  // On a busy machine, the handler may notice the cut only after `stop` has returned.
  Trial::check(soon([&] { return server->stats().cut == 1; }),
               "a client that read nothing was not cut at the deadline");
}

inline void a_silent_conversation_sees_the_end_in_a_drain(Trial& trial) {
  Script script(*trial.record);
  script.converse = [](Stream& handler) {
    while (const auto text = handler.rfile.read_line()) handler.wfile.write(*text);
    handler.wfile.write("farewell\n");
  };
  const auto server = trial.server({Form::conversation, script, quick()});
  Serving serving(trial, *server);
  Client client(*server);
  Trial::check(client.ask("hello\n") == "hello\n", "the policy dropped a conversation");
  const net::DrainReport report = serving.stop();
  Trial::check(client.receive_all() == "farewell\n",
               "a silent conversation was cut off in a drain before it could say farewell");
  Trial::check(report.cut + report.dropped + report.stuck == 0,
               "the drain ended a silent conversation before its time was over");
}

inline constexpr std::array drain_cases{
    Case{"idle_clients_are_closed_by_a_drain", idle_clients_are_closed_by_a_drain},
    Case{"a_drain_waits_for_what_is_in_hand",
         [](Trial& trial) { a_drain_waits_for_what_is_in_hand(trial, patience); }},
    Case{"a_drain_without_a_deadline_waits_for_what_is_in_hand",
         [](Trial& trial) { a_drain_waits_for_what_is_in_hand(trial, net::Deadline::never()); }},
    Case{"a_drain_serves_who_had_got_through_to_the_kernel",
         a_drain_serves_who_had_got_through_to_the_kernel},
    Case{"a_stuck_handler_does_not_hold_up_a_drain",
         [](Trial& trial) { a_stuck_handler_does_not_hold_up_a_drain(trial, Form::lines); }},
    Case{"a_stuck_conversation_does_not_hold_up_a_drain",
         [](Trial& trial) { a_stuck_handler_does_not_hold_up_a_drain(trial, Form::conversation); }},
    Case{"nothing_begins_after_drain", nothing_begins_after_drain},
    Case{"the_threads_end_with_drain", the_threads_end_with_drain,
         [](const Subject& subject) { return subject.own_threads; }},
    Case{"who_reads_nothing_is_cut_at_the_deadline",
         [](Trial& trial) { who_reads_nothing_is_cut_at_the_deadline(trial, Form::lines); }},
    Case{"a_conversation_that_nobody_reads_is_cut_at_the_deadline",
         [](Trial& trial) { who_reads_nothing_is_cut_at_the_deadline(trial, Form::conversation); }},
    Case{"a_silent_conversation_sees_the_end_in_a_drain",
         a_silent_conversation_sees_the_end_in_a_drain},
};

}  // namespace net::conformance
