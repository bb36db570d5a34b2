// A part of <netserve/policy_conformance.hpp>: tests of requests and conversations.
#pragma once

namespace net::conformance {

/// How often the handlers ran each request, by the request's number.
struct Runs {
  void note(std::string_view request) {
    std::size_t number = 0;
    std::from_chars(request.data(), request.data() + request.size(), number);
    if (number < count.size()) ++count[number];
  }
  bool check_once(const std::string& what) const {
    for (std::size_t number = 0; number < count.size(); ++number) {
      const unsigned times = count[number];
      if (times < 2) continue;
      Trial::check(false, "the policy ran one request twice: " + what + " " +
                              std::to_string(number) + " came to a handler " +
                              std::to_string(times) + " times");
      return false;
    }
    return true;
  }
  std::array<std::atomic<unsigned>, 4096> count{};
};

/// Echo handlers of all forms.
inline Script echo(Record& record, Runs& runs) {
  Script script(record);
  script.step = [&runs](Stream& handler) {
    const std::string text(handler.rfile.read_some());
    runs.note(text);
    handler.wfile.write(text);
    return net::Next::keep;
  };
  script.converse = [&runs](Stream& handler) {
    while (const auto text = handler.rfile.read_line()) {
      runs.note(*text);
      handler.wfile.write(*text);
    }
  };
  script.bare_step = [&runs](Bare& handler) {
    std::array<char, 4096> text{};
    const std::size_t size = handler.request().recv(std::as_writable_bytes(std::span(text)));
    const std::string_view got(text.data(), size);
    if (size > 0) runs.note(got);
    handler.request().sendall(net::bytes(got), patience);
    return net::Next::keep;
  };
  script.bare_converse = [&runs](Bare& handler) {
    std::array<char, 4096> text{};
    while (const std::size_t size =
               handler.request().recv(std::as_writable_bytes(std::span(text)))) {
      const std::string_view got(text.data(), size);
      runs.note(got);
      handler.request().sendall(net::bytes(got), patience);
    }
  };
  script.answer = [&runs](Packet& handler) {
    runs.note(handler.text());
    handler.reply(handler.text());
  };
  return script;
}
inline Script lines_echo(Record& record) {
  Script script(record);
  script.step = [](Stream& handler) {
    handler.wfile.write(handler.rfile.read_line().value_or(""));
    return net::Next::keep;
  };
  return script;
}

/// Many clients at a time, in several rounds. Conversations have one round, as a policy may run
/// them one after another.
inline void every_client_is_answered_once(Trial& trial, Form form) {
  constexpr std::size_t clients = 100;
  const bool converses = form == Form::conversation || form == Form::bare_conversation;
  const std::size_t rounds = converses ? 1 : 3;
  const Shared<Runs> runs;
  const Script script = echo(*trial.record, *runs);
  const auto server = trial.server({form, script, quick()});
  Serving serving(trial, *server);
  std::list<Client> all;
  const net::Deadline until = 3 * patience;  // for all clients together: forks take time
  for (std::size_t i = 0; i < clients; ++i) all.emplace_back(*server, until);
  std::set<const Client*> unanswered;
  bool wrong = false;
  bool twice = false;
  trial.step("the answers to 100 clients");
  for (std::size_t round = 0; round < rounds; ++round) {
    std::size_t number = round * clients;
    for (Client& client : all) {
      client.send(line(number++));
      if (round == rounds - 1) client.end_sending();
    }
    number = round * clients;
    for (Client& client : all) {
      const std::string sent = line(number++);
      const std::string got = client.receive(sent.size());
      if (got.size() < sent.size()) unanswered.insert(&client);
      if (got.size() == sent.size() && got != sent) wrong = true;
    }
  }
  for (Client& client : all) twice = !client.receive_all().empty() || twice;
  Trial::check(unanswered.empty(),
               "the policy dropped a request: " + in_words(unanswered.size(), clients));
  // If an answer is missing, a late one would look like a second one.
  if (runs->check_once("request") && unanswered.empty()) {
    Trial::check(!twice, "the policy ran one request twice: a client got a second answer");
    Trial::check(!wrong, "the policy mixed requests up: a client got what another one asked for");
  }
  serving.stop(unanswered.empty() ? patience : 500ms);
  Trial::check(server->stats().dropped == 0,
               "the policy dropped a request: " + std::to_string(server->stats().dropped) +
                   " were destroyed before they were served");
}

/// The next request arrives just when the connection is being parked.
inline void a_request_that_comes_while_the_connection_is_parked_is_not_lost(Trial& trial) {
  constexpr std::size_t clients = 4;
  constexpr int rounds = 300;
  const Script script = lines_echo(*trial.record);
  const auto server = trial.server({Form::lines, script, quick()});
  Serving serving(trial, *server);
  std::atomic<std::size_t> unanswered{0};
  trial.step("4 clients that ask again as soon as they are answered");
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < clients; ++i) {
    threads.emplace_back([&] {
      Client client(*server);
      for (int round = 0; round < rounds; ++round) {
        if (client.ask("again\n") == "again\n") continue;
        ++unanswered;
        return;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Trial::check(unanswered == 0,
               "the policy lost a request that came while it parked the connection: " +
                   in_words(unanswered, clients));
}

inline void requests_that_were_sent_ahead_are_answered_in_order(Trial& trial) {
  const Script script = lines_echo(*trial.record);
  const auto server = trial.server({Form::lines, script, quick()});
  Serving serving(trial, *server);
  Client client(*server);
  std::string sent;
  for (std::size_t i = 0; i < 500; ++i) sent += line(i);
  client.send(sent);
  client.end_sending();
  trial.step("the answers to 500 requests that one client sent ahead");
  const std::string got = client.receive_all();
  Trial::check(got.size() == sent.size(), "the policy dropped a request: of " +
                                              std::to_string(sent.size()) +
                                              " bytes that one client sent ahead, " +
                                              std::to_string(got.size()) + " came back");
  Trial::check(got.size() != sent.size() || got == sent,
               "the policy ran the requests of one client out of order");
}

inline void a_request_in_pieces_is_served(Trial& trial) {
  const Script script = lines_echo(*trial.record);
  const auto server = trial.server({Form::lines, script, quick()});
  Serving serving(trial, *server);
  Client client(*server);
  trial.step("the answer to a request in pieces");
  for (const std::string text : {"first\n", "second\n"}) {
    for (const char& letter : text) client.send({&letter, 1});
    Trial::check(
        client.receive(text.size()) == text,
        "the policy did not park a connection whose request was not whole: it got no answer");
  }
}

/// The handler returns `more` for each piece but the last, and then `close`. The whole answer is
/// larger than the server's write buffer.
inline void answers_in_pieces_arrive_whole_and_close_ends(Trial& trial) {
  constexpr std::size_t size = 100'000;
  Script script(*trial.record);
  script.step = [left = 10](Stream& handler) mutable {
    if (left == 10) handler.rfile.read_line();
    handler.wfile.write(std::string(size, 'x'));
    return --left > 0 ? net::Next::more : net::Next::close;
  };
  const auto server = trial.server({Form::lines, script, quick()});
  Serving serving(trial, *server);
  Client client(*server);
  client.send("go\n");
  trial.step("an answer in ten pieces");
  const std::size_t got = client.receive_all().size();
  Trial::check(got == 10 * size, "the policy lost a part of an answer: " + std::to_string(got) +
                                     " of " + std::to_string(10 * size) + " bytes came");
}

inline void idle_clients_hold_nobody_up(Trial& trial) {
  const Script script = lines_echo(*trial.record);
  const auto server = trial.server({Form::lines, script, quick()});
  Serving serving(trial, *server);
  std::list<Client> idle;
  trial.step("a client beside 50 idle ones");
  for (int i = 0; i < 50; ++i) {
    const bool answered = idle.emplace_back(*server).ask("hello\n") == "hello\n";
    if (Trial::check(answered, "idle clients hold the policy's threads: a client beside " +
                                   std::to_string(i) + " idle ones got no answer")) {
      continue;
    }
    break;
  }
  idle.clear();
}

/// One client never stops sending; the others must be served too.
inline void a_client_that_floods_starves_nobody(Trial& trial) {
  const Script script = lines_echo(*trial.record);
  const auto server = trial.server({Form::lines, script, quick()});
  Serving serving(trial, *server);
  std::atomic<bool> over{false};
  Client flood(*server, net::Deadline::never());
  std::string lines;
  for (int i = 0; i < 200; ++i) lines += std::string(1000, 'x') + "\n";
  std::thread writer([&] {
    while (!over && flood.send(lines)) {
    }
    flood.end_sending();
  });
  std::thread reader([&] { flood.receive_all(); });
  soon([&] { return server->stats().requests > 1000 || server->stats().active == 0; }, 1s);
  trial.step("clients beside one that never stops sending");
  int answered = 0;
  for (int i = 0; i < 5; ++i) answered += Client(*server).ask("hello\n") == "hello\n" ? 1 : 0;
  over = true;
  writer.join();
  reader.join();
  Trial::check(answered == 5, "one client that never stops sending holds the policy: " +
                                  in_words(static_cast<std::size_t>(5 - answered), 5));
}

inline void a_conversation_may_speak_first(Trial& trial) {
  Script script(*trial.record);
  script.converse = [](Stream& handler) {
    handler.wfile.write("hello\n");
    while (const auto text = handler.rfile.read_line()) handler.wfile.write(*text);
    handler.wfile.write("farewell\n");
  };
  const auto server = trial.server({Form::conversation, script, quick()});
  Serving serving(trial, *server);
  trial.step("three conversations, one after another");
  for (int i = 0; i < 3; ++i) {
    Client client(*server);
    Trial::check(client.receive(6) == "hello\n",
                 "the policy dropped a conversation: the client was not greeted");
    Trial::check(client.ask("text\n") == "text\n",
                 "the policy ended a conversation before its end");
    client.end_sending();
    Trial::check(client.receive_all() == "farewell\n",
                 "the policy ended a conversation before its end");
  }
}

inline constexpr std::array request_cases{
    Case{"lines_are_answered_once",
         [](Trial& trial) { every_client_is_answered_once(trial, Form::lines); }},
    Case{"whatever_arrives_is_answered_once",
         [](Trial& trial) { every_client_is_answered_once(trial, Form::some); }},
    Case{"handlers_of_the_socket_answer_once",
         [](Trial& trial) { every_client_is_answered_once(trial, Form::bare); }},
    Case{"conversations_answer_once",
         [](Trial& trial) { every_client_is_answered_once(trial, Form::conversation); }},
    Case{"conversations_of_the_socket_answer_once",
         [](Trial& trial) { every_client_is_answered_once(trial, Form::bare_conversation); }},
    Case{"a_request_that_comes_while_the_connection_is_parked_is_not_lost",
         a_request_that_comes_while_the_connection_is_parked_is_not_lost},
    Case{"requests_that_were_sent_ahead_are_answered_in_order",
         requests_that_were_sent_ahead_are_answered_in_order},
    Case{"a_request_in_pieces_is_served", a_request_in_pieces_is_served},
    Case{"answers_in_pieces_arrive_whole_and_close_ends",
         answers_in_pieces_arrive_whole_and_close_ends},
    Case{"idle_clients_hold_nobody_up", idle_clients_hold_nobody_up},
    Case{"a_client_that_floods_starves_nobody", a_client_that_floods_starves_nobody},
    Case{"a_conversation_may_speak_first", a_conversation_may_speak_first},
};

}  // namespace net::conformance
