// A part of <netserve/policy_conformance.hpp>: a policy within its process: signals, forks, and an
// early end.
#pragma once

namespace net::conformance {

/// The signal handlers of the program must run in its own threads.
inline void the_threads_take_no_signals_of_the_program(Trial& trial) {
  const Shared<std::atomic<int>> taken;
  const Shared<std::atomic<int>> serving_thread;
  Script script(*trial.record);
  script.step = [&](Stream& handler) {
    handler.wfile.write(handler.rfile.read_line().value_or(""));
    sigset_t blocked;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    if (::getpid() != trial.record->process || ::gettid() == *serving_thread)
      return net::Next::keep;
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGALRM, SIGCHLD}) {
      if (::sigismember(&blocked, signal) == 0) *taken = signal;
    }
    return net::Next::keep;
  };
  const auto server = trial.server({Form::lines, script, quick()});
  // Not by `Serving`: its thread blocks signals, and the threads that a policy starts there would
  // inherit that.
  std::thread thread([&] {
    *serving_thread = ::gettid();
    server->serve_forever(50ms);
  });
  trial.step("the signals of the policy's threads");
  for (int i = 0; i < 20; ++i) Client(*server).ask("hello\n");
  server->shutdown();
  thread.join();
  server->server_close(patience);
  Trial::check(*taken == 0, "a thread of the policy takes signals of the program: signal " +
                                std::to_string(*taken) + " is not blocked there");
}

/// A server whose address is in use destroys its policy at once; other servers are closed before
/// they serve.
inline void a_policy_that_never_ran_ends_at_once(Trial& trial) {
  const Script script = lines_echo(*trial.record);
  trial.step("the destructor of a policy that was never started");
  {
    const net::Socket taken = net::create_server(net::Address{"127.0.0.1", 0});
    bool refused = false;
    try {
      trial.server({Form::lines, script, quick(), Places::any, taken.getsockname()});
    } catch (const std::system_error&) {
      refused = true;
    }
    Trial::check(refused, "a second server could bind the address of another");
  }
  trial.subject.group(*trial.record);
  trial.step("the drain of a policy that never started, beside a client whose proxy says nothing");
  {
    net::ServerOptions options = quick();
    options.quiet_grace = 5s;
    options.proxy_protocol = net::ProxyProtocol{.trusted = net::Networks("127.0.0.1")};
    const auto server = trial.server({Form::lines, script, options});
    Client client(*server);
    server->server_close(100ms);
    Trial::check(client.sees_end(), "a client is still connected after the drain");
  }
  trial.step("the drain of a policy that was never started");
  const auto server = trial.server({Form::lines, script, quick()});
  Clock::duration took{};
  const net::DrainReport report = timed_close(*server, patience, took);
  Trial::check(took < 5s, "drain took " + in_ms(took) + " although nothing had been served");
  Trial::check(report.stuck == 0, "drain reported that something is stuck, and nothing ran");
}

/// Runs a function in a forked process. Returns whether it returned true there, in time.
inline bool succeeds_in_a_child(const std::function<bool()>& run) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(run() ? 0 : 1);
  int status = -1;
  const bool ended = soon([&] { return ::waitpid(child, &status, WNOHANG) == child; }, 15s);
  if (!ended) {
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Serves one client, which asks the server to stop.
inline bool serves_until_asked_to_stop(net::BaseServer& server) {
  Client client(server);  // waits in the kernel's queue
  client.send("stop\n");
  server.restart();
  server.serve_forever(50ms);
  return client.receive(5) == "stop\n";
}

inline void a_policy_serves_on_both_sides_of_a_fork(Trial& trial) {
  Script script(*trial.record);
  script.step = [](Stream& handler) {
    const std::string line(handler.rfile.read_line().value_or(""));
    if (line == "stop\n") handler.context().shutdown();
    handler.wfile.write(line);
    return net::Next::keep;
  };
  const auto server = trial.server({Form::lines, script, quick()});
  trial.step("a server that was made before a fork and serves after it");
  Trial::check(succeeds_in_a_child([&] { return serves_until_asked_to_stop(*server); }),
               "a policy that was made before a fork does not serve after it, as after daemon(3)");
  trial.step("the parent of a process that served");
  Trial::check(serves_until_asked_to_stop(*server),
               "the policy does not serve after a forked process used its copy");
  trial.step("a second start, in a child of a process that has served");
  Trial::check(
      succeeds_in_a_child([&] { return serves_until_asked_to_stop(*server); }),
      "a second start, in a forked process, did not begin anew: the policy does not serve there");
  trial.step("the parent, once more");
  Trial::check(serves_until_asked_to_stop(*server),
               "the policy does not serve after a forked process started its copy");
  server->server_close(patience);
}

inline constexpr std::array process_cases{
    Case{"the_threads_take_no_signals_of_the_program", the_threads_take_no_signals_of_the_program,
         [](const Subject& subject) { return subject.own_threads; }},
    Case{"a_policy_that_never_ran_ends_at_once", a_policy_that_never_ran_ends_at_once},
    Case{"a_policy_serves_on_both_sides_of_a_fork", a_policy_serves_on_both_sides_of_a_fork,
         [](const Subject& subject) { return subject.starts; }},
};

}  // namespace net::conformance
