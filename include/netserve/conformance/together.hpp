// A part of <netserve/policy_conformance.hpp>: tests with several servers, or with many clients.
#pragma once

namespace net::conformance {

inline void servers_share_a_policy(Trial& trial) {
  const Shared<Runs> runs;
  Script script = echo(*trial.record, *runs);
  auto group = trial.subject.group(*trial.record);
  const auto lines = group->server({Form::lines, script, quick()}, trial.hooks);
  auto talks = group->server({Form::conversation, script, quick()}, trial.hooks);
  const auto packets = group->server({Form::datagrams, script, quick()}, trial.hooks);
  Serving one(trial, *lines);
  std::optional<Serving> two(std::in_place, trial, *talks);
  Serving three(trial, *packets);
  const auto all_answer = [&](const std::string& when) {
    Client client(*lines);
    PacketClient packet(*packets);
    for (int i = 0; i < 20; ++i) {
      Trial::check(client.ask("stream\n") == "stream\n",
                   "the policy dropped a request of one of the servers that share it" + when);
      Trial::check(packet.ask("packet\n") == "packet\n",
                   "the policy dropped a datagram of one of the servers that share it" + when);
    }
  };
  trial.step("three servers that share a policy");
  all_answer("");
  for (int i = 0; i < 5; ++i) {
    Client client(*talks);
    Trial::check(client.ask("text\n") == "text\n",
                 "the policy dropped a conversation of one of the servers that share it");
    client.end_sending();
    Trial::check(client.sees_end(), "a conversation of a shared policy did not end");
  }
  trial.step("two servers after the third one was closed");
  two->stop();
  two.reset();
  talks.reset();
  Trial::check(!trial.record->drained, "drain was called while servers still share the policy");
  all_answer(", after another one was closed");
  group.reset();
}

/// Closing the last server does not drain a policy that the program still holds.
inline void a_shared_policy_that_was_not_drained_ends(Trial& trial) {
  const Script script = lines_echo(*trial.record);
  auto group = trial.subject.group(*trial.record);
  {
    const auto server = group->server({Form::lines, script, quick()}, trial.hooks);
    Serving serving(trial, *server);
    Trial::check(Client(*server).ask("hello\n") == "hello\n", "the policy dropped a request");
  }
  trial.step("the destructor of a policy that was started and not drained");
  group.reset();
}

inline void load_tells_how_busy_it_is(Trial& trial) {
  Gate entered;
  Gate released;
  Script script(*trial.record);
  script.step = [&](Stream& handler) {
    handler.rfile.read_line();
    entered.open();
    released.wait();
    handler.wfile.write("done\n");
    return net::Next::close;
  };
  const auto server = trial.server({Form::lines, script, quick()});
  Trial::check(server->load().policy.busy == 0,
               "load reports busy workers before the first request");
  Serving serving(trial, *server);
  Client client(*server);
  client.send("go\n");
  Trial::check(entered.wait(), "the policy dropped a request: its handler was not called");
  trial.step("load while a request runs");
  const net::PolicyLoad load = server->load().policy;
  Trial::check(load.busy >= 1, "load reports no busy worker while a request runs");
  Trial::check(load.workers >= load.busy, "load reports more busy workers than there are");
  Trial::check(load.most == 0 || load.most >= load.workers,
               "load reports more workers than there may be");
  released.open();
  Trial::check(client.receive_all() == "done\n", "the policy dropped a request");
  Trial::check(soon([&] {
                 const net::PolicyLoad now = server->load().policy;
                 return now.busy == 0 && now.waiting == 0;
               }),
               "load reports busy workers, or requests that wait, although nothing is to be done");
}

/// A request must not wait while `load` reports an idle worker.
inline void no_request_waits_beside_an_idle_worker(Trial& trial) {
  constexpr std::size_t most = 8;
  const Shared<std::atomic<std::size_t>> entered;
  Gate released;
  Script script(*trial.record);
  script.step = [&](Stream& handler) {
    handler.rfile.read_line();
    ++*entered;
    released.wait(30s);
    handler.wfile.write("done\n");
    return net::Next::close;
  };
  const auto server = trial.server({Form::lines, script, quick()});
  Serving serving(trial, *server);
  trial.step("requests that hold their workers");
  std::list<Client> clients;
  while (clients.size() < most && *entered == clients.size()) {
    clients.emplace_back(*server, 3 * patience).send("go\n");
    net::PolicyLoad load;
    const bool used = soon([&] {
      load = server->load().policy;
      return *entered == clients.size() || (*entered > 0 && load.busy >= load.workers);
    });
    Trial::check(used, "a request waits although a worker is idle: of " +
                           std::to_string(load.workers) + " workers, " + std::to_string(load.busy) +
                           " run a request, as load reports");
  }
  released.open();
  for (Client& client : clients) {
    Trial::check(client.receive_all() == "done\n", "the policy dropped a request");
  }
}

/// Clients that connect, send requests, and leave in every possible way.
inline void many_clients_come_and_go(Trial& trial) {
  constexpr std::size_t threads = 8;
  constexpr std::size_t connections = 40;
  const Script script = lines_echo(*trial.record);
  const auto server = trial.server({Form::lines, script, quick()});
  Serving serving(trial, *server);
  std::atomic<std::size_t> unanswered{0};
  std::atomic<bool> over{false};
  trial.step("320 clients, eight at a time");
  std::vector<std::thread> clients;
  for (std::size_t i = 0; i < threads; ++i) {
    clients.emplace_back([&, i] {
      for (std::size_t j = 0; j < connections && unanswered == 0; ++j) {
        Client client(*server);
        const std::string text = std::string(1 + 700 * j, 'x') + "\n";
        for (std::size_t round = 0; round <= (i + j) % 4; ++round) {
          if (client.ask(text) != text) ++unanswered;
        }
        switch (j % 4) {
          case 0: client.reset(); break;
          case 1: client.end_sending(); break;
          case 2: client.send("left in the middle"); break;
          default: break;
        }
      }
    });
  }
  std::thread looking([&] {
    while (!over) {
      static_cast<void>(server->load());
      std::this_thread::sleep_for(1ms);
    }
  });
  for (std::thread& client : clients) client.join();
  over = true;
  looking.join();
  Trial::check(unanswered == 0,
               "the policy dropped a request: " + in_words(unanswered, threads * connections) +
                   ", of many that came and went");
  const net::DrainReport report = serving.stop();
  Trial::check(report.cut + report.stuck == 0, "connections whose clients are gone had to be cut");
}

/// Clients that send requests without a pause while the server is closed.
inline void a_drain_amid_many_requests_loses_none(Trial& trial) {
  constexpr int count = 8;
  const Script script = lines_echo(*trial.record);
  const auto server = trial.server({Form::lines, script, quick()});
  Serving serving(trial, *server);
  std::atomic<int> busy{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < count; ++i) {
    clients.emplace_back([&] {
      Client client(*server);
      for (bool counted = false;; counted = true) {
        const std::string answer = client.ask("hello\n");
        if (answer != "hello\n") {
          if (!answer.empty()) ++wrong;
          return;  // the server closed the connection between two requests
        }
        if (!counted) ++busy;
      }
    });
  }
  Trial::check(
      soon([&] { return busy == count; }),
      "the policy dropped a request: " + in_words(static_cast<std::size_t>(count - busy), count));
  const net::DrainReport report = serving.stop();
  for (std::thread& client : clients) client.join();
  Trial::check(wrong == 0, "a drain cut an answer in the middle");
  Trial::check(report.dropped + report.stuck == 0, "a drain dropped requests of busy clients");
}

inline constexpr std::array together_cases{
    Case{"servers_share_a_policy", servers_share_a_policy,
         [](const Subject& subject) { return subject.shareable; }},
    Case{"a_shared_policy_that_was_not_drained_ends", a_shared_policy_that_was_not_drained_ends,
         [](const Subject& subject) { return subject.shareable; }},
    Case{"load_tells_how_busy_it_is", load_tells_how_busy_it_is,
         [](const Subject& subject) { return subject.loads; }},
    Case{"no_request_waits_beside_an_idle_worker", no_request_waits_beside_an_idle_worker,
         [](const Subject& subject) { return subject.loads; }},
    Case{"many_clients_come_and_go", many_clients_come_and_go},
    Case{"a_drain_amid_many_requests_loses_none", a_drain_amid_many_requests_loses_none},
};

}  // namespace net::conformance
