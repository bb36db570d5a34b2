// The constructor rejects numbers and combinations that no server can keep. A server works with the
// largest numbers that have a meaning.

#include <sys/resource.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <system_error>

#include "support/fails_with.hpp"
#include "support/server_test.hpp"

namespace {

using Milliseconds = std::chrono::milliseconds;

// One mistake, and what the exception's text must name.
struct Mistake {
  const char* name;
  void (*make)(net::ServerOptions& options);
  const char* bounds;
};

const std::vector<Mistake> of_every_kind{
    {"limits.request", [](auto& o) { o.limits.request = -1ms; }, "is -1 ms, but must be 1 ms"},
    {"limits.request", [](auto& o) { o.limits.request = 0ms; },
     "is 0 ms, but must be 1 ms or more"},
    {"limits.idle", [](auto& o) { o.limits.idle = Milliseconds::min(); }, "must be 1 ms or more"},
    {"limits.idle", [](auto& o) { o.limits.idle = 0ms; }, "must be 1 ms or more"},
    {"limits.send", [](auto& o) { o.limits.send = -1h; }, "is -3600000 ms, but must be 1 ms"},
    {"drain", [](auto& o) { o.drain = -1ms; }, "must be 0 ms or more"},
    {"quiet_grace", [](auto& o) { o.quiet_grace = -1ms; }, "must be 0 ms or more"},
    {"linger", [](auto& o) { o.linger = Milliseconds::min(); }, "must be 0 ms or more"},
    {"timeout", [](auto& o) { o.timeout = -1ms; }, "must be 0 ms or more"},
    {"max_packet_size", [](auto& o) { o.max_packet_size = 0; }, "is 0, but must be from 1 to"},
    {"max_packet_size", [](auto& o) { o.max_packet_size = SIZE_MAX; }, "from 1 to 16777216"},
    {"max_request_size", [](auto& o) { o.max_request_size = 0; }, "must be 1 or more"},
    {"overload", [](auto& o) { o.overload = static_cast<net::Overload>(3); }, "wait, reject or"},
    {"unix_mode", [](auto& o) { o.unix_mode = 600; }, "is 01130, but must be from 0 to 0777"},
};

// Returns what a construction did instead of throwing the expected exception; empty if it threw
// that.
template <class Make>
std::string not_refused(const Mistake& mistake, Make make) {
  net::ServerOptions options = quick();
  mistake.make(options);
  const std::string name = mistake.name;
  try {
    make(options);
    return name + ": no exception\n";
  } catch (const std::system_error& error) {
    const std::string text = error.what();
    const bool refused = error.code() == std::errc::invalid_argument &&
                         text.starts_with(name + " is ") &&
                         text.find(mistake.bounds) != std::string::npos;
    return refused ? std::string() : name + ": " + text + "\n";
  }
}

struct SetsLimits : net::StreamRequestHandler {
  net::Next handle() {
    const std::string word(rfile.read_some());
    net::Limits limits = context().limits();
    limits.send = Milliseconds(std::stoi(word));
    try {
      context().set_limits(limits);
      wfile.write("set");
    } catch (const std::system_error& error) {
      wfile.write(error.code() == std::errc::invalid_argument &&
                          context().limits().send != limits.send
                      ? "refused"
                      : "?");
    }
    return net::Next::keep;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_options, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(bad_numbers_are_refused_by_name_and_bounds, Policy, Policies) {
  const ScratchDirectory scratch;
  const auto path = net::Address::unix_path(scratch.path("socket"));
  std::string wrong;
  for (const Mistake& mistake : of_every_kind) {
    wrong += not_refused(mistake, [](const net::ServerOptions& options) {
      const net::TcpServer<Echo, Policy> server{loopback(), options};
    });
    wrong += not_refused(mistake, [](const net::ServerOptions& options) {
      const net::UdpServer<EchoDatagram, Policy> server{loopback(), options};
    });
    wrong += not_refused(mistake, [&](const net::ServerOptions& options) {
      const net::UnixStreamServer<Echo, Policy> server{path, options};
    });
    wrong += not_refused(mistake, [&](const net::ServerOptions& options) {
      const net::UnixDatagramServer<EchoDatagram, Policy> server{path, options};
    });
    wrong += not_refused(mistake, [](const net::ServerOptions& options) {
      const net::PacketServer<EchoDatagram, Policy> server{net::Address::packet("lo", 0x88B5),
                                                           options};
    });
  }
  BOOST_TEST(wrong == "");
}

BOOST_AUTO_TEST_CASE(nothing_is_opened_or_started_before_the_options_are_checked, *timeout(20)) {
  auto options = quick();
  options.limits.idle = -1ms;
  // No descriptor and no thread can be made.
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  const auto refused = fails_with(std::errc::invalid_argument,
                                  [&] { const net::TcpServer<Echo> server{loopback(), options}; });
  ::setrlimit(RLIMIT_NOFILE, &before);
  BOOST_TEST(refused);
}

BOOST_AUTO_TEST_CASE(options_that_could_mislead_are_refused, *timeout(20)) {
  const ScratchDirectory scratch;
  const auto path = net::Address::unix_path(scratch.path("socket"));
  using Streams = net::UnixStreamServer<Echo>;
  using Tcp = net::TcpServer<Echo>;
  const auto text_of = [](auto make) {
    std::string text;
    BOOST_TEST(fails_with(std::errc::invalid_argument, [&] {
      try {
        make();
      } catch (const std::exception& error) {
        text = error.what();
        throw;
      }
    }));
    return text;
  };
  const auto starts = [](const std::string& text, std::string_view begin) {
    return boost::test_tools::assertion_result(text.starts_with(begin));
  };
  auto mode = quick();
  mode.unix_mode = 0600;
  const std::string no_file = "unix_mode is set for a Unix stream server, but only an address with";
  BOOST_TEST(starts(text_of([&] { Tcp{loopback(), mode}; }),
                    "unix_mode is set for a TCP server, but only a Unix socket has a file"));
  BOOST_TEST(starts(text_of([&] { Streams{net::Address::unix_abstract("x"), mode}; }), no_file));
  BOOST_TEST(starts(text_of([&] { Streams{net::Address::unix_unnamed(), mode}; }), no_file));
  BOOST_TEST(starts(text_of([&] { Streams{net::create_server(path), mode}; }), no_file));
  auto dualstack = quick();
  dualstack.dualstack = true;
  const std::string no_ipv6 = ", but it needs an IPv6 address to bind";
  BOOST_TEST(starts(text_of([&] { Tcp{loopback(), dualstack}; }),
                    "dualstack is set for a TCP server" + no_ipv6));
  BOOST_TEST(starts(text_of([&] { net::UdpServer<EchoDatagram>{loopback(), dualstack}; }),
                    "dualstack is set for a UDP server" + no_ipv6));
  std::filesystem::remove(scratch.path("socket"));
  BOOST_TEST(starts(text_of([&] { Streams{path, dualstack}; }),
                    "dualstack is set for a Unix stream server" + no_ipv6));
  auto header = quick();
  header.link_header = true;
  BOOST_TEST(starts(text_of([&] { net::UdpServer<EchoDatagram>{loopback(), header}; }),
                    "link_header is set for a UDP server, but only a packet server"));
  BOOST_TEST(starts(text_of([&] { Tcp{path}; }), "a TCP server cannot serve unix:/"));
  BOOST_TEST(starts(text_of([&] { Tcp{std::span<const net::Address>(), quick()}; }),
                    "a server needs an address or a socket, and has none"));
  BOOST_TEST(!std::filesystem::exists(scratch.path("socket")));
}

BOOST_AUTO_TEST_CASE(bad_options_of_policies_are_refused, *timeout(20)) {
  const auto refused = []<class P>(const typename P::Options& options, std::string_view text) {
    const auto make = [&] { net::TcpServer<Echo, P>{loopback(), options}; };
    const auto share = [&] { net::SharedPolicy<P>{options}; };
    for (const std::string& said : {text_of_failure(make), text_of_failure(share)}) {
      BOOST_TEST(said.starts_with(text), said);
    }
    BOOST_TEST(fails_with(std::errc::invalid_argument, make));
  };
  using Pool = net::ThreadPool;
  using Thread = net::ThreadPerRequest;
  using Fork = net::ForkPerRequest;
  refused.operator()<Pool>({.workers = 4097},
                           "ThreadPool::Options::workers is 4097, but must be from 0 to 4096");
  refused.operator()<Pool>({.workers = SIZE_MAX}, "ThreadPool::Options::workers is");
  refused.operator()<Thread>({.max_threads = 0},
                             "ThreadPerRequest::Options::max_threads is 0, but must be 1 or more");
  refused.operator()<Thread>({.keep = -1ms},
                             "ThreadPerRequest::Options::keep is -1 ms, but must be 0 ms or more");
  refused.operator()<Fork>(
      {.max_children = 0},
      "ForkPerRequest::Options::max_children is 0, but must be from 1 to 1024");
  refused.operator()<Fork>({.max_children = 1025}, "ForkPerRequest::Options::max_children is 1025");
  constexpr auto none = static_cast<net::Overload>(200);
  refused.operator()<Pool>({.overload = none}, "ThreadPool::Options::overload is 200");
  refused.operator()<Thread>({.overload = none}, "ThreadPerRequest::Options::overload is 200");
  refused.operator()<Fork>({.overload = none}, "ForkPerRequest::Options::overload is 200");
}

BOOST_TEST_DECORATOR(*timeout(50))
BOOST_AUTO_TEST_CASE_TEMPLATE(the_largest_numbers_are_served_with, Form, EchoForms) {
  constexpr auto most = std::numeric_limits<std::size_t>::max();
  const Milliseconds a_century = std::chrono::years(100);
  for (const Milliseconds time :
       {Milliseconds(std::int64_t{1} << 31), Milliseconds((std::int64_t{1} << 32) + 1),
        Milliseconds(std::chrono::years(99)), a_century, Milliseconds::max() - 1ms,
        Milliseconds::max()}) {
    net::ServerOptions options = quick();
    options.limits = {time, time, time};
    options.drain = options.linger = time;
    options.timeout = time;
    options.max_connections = options.max_request_size = most;
    options.write_buffer = options.linger_bytes = most;
    options.request_queue_size = std::numeric_limits<int>::min();
    typename Form::Server server{loopback(), options};
    std::thread serving([&] { server.serve_forever(time); });
    {
      Client client(server);
      client.send("hel");
      BOOST_TEST(client.receive(3) == "hel");
      BOOST_TEST(client.ask("lo") == "lo");
    }
    {
      Client stays(server);
      BOOST_TEST(stays.ask("here") == "here");
      // The conversation ends after the quiet grace, and nothing has to be cut.
      const net::DrainReport report = server.server_close();
      serving.join();
      BOOST_TEST(report.cut + report.stuck + report.dropped == 0U);
    }
    check_sum(server);
  }
}

BOOST_AUTO_TEST_CASE(threads_may_be_kept_for_ever, *timeout(20)) {
  for (const Milliseconds time : {0ms, Milliseconds(std::chrono::years(99)), Milliseconds::max()}) {
    using Server = net::TcpServer<Echo, net::ThreadPerRequest>;
    Server server{loopback(), quick(), net::ThreadPerRequest::Options{.keep = time}};
    Running running(server);
    for (int i = 0; i < 3; ++i) BOOST_TEST(Client(server).ask("hello") == "hello");
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_grace_without_end_cuts_at_the_deadline, Form, EchoForms) {
  auto options = quick();
  options.quiet_grace = Milliseconds::max();
  typename Form::Server server{loopback(), options};
  Running running(server);
  Client silent(server);
  BOOST_TEST(silent.ask("hello") == "hello");
  BOOST_TEST(running.stop(200ms).cut == 1U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_bad_limit_that_a_handler_sets_is_refused, Policy, Policies) {
  net::TcpServer<SetsLimits, Policy> server{loopback(), quick()};
  Running running(server);
  Client client(server);
  client.send("-1");
  BOOST_TEST(client.receive(7) == "refused");
  client.send("0");
  BOOST_TEST(client.receive(7) == "refused");
  client.send("5000");
  BOOST_TEST(client.receive(3) == "set");
}

BOOST_AUTO_TEST_CASE(a_negative_poll_interval_is_refused, *timeout(20)) {
  QuietHooks hooks;
  net::TcpServer<Echo> server{loopback(), hooks, quick()};
  for (const Milliseconds interval : {-1ms, Milliseconds::min()}) {
    BOOST_TEST(fails_with(std::errc::invalid_argument, [&] { server.serve_forever(interval); }));
  }
  Running running(server);
  BOOST_TEST(Client(server).ask("still serves") == "still serves");
}

BOOST_AUTO_TEST_CASE(a_deadline_in_the_past_closes_at_once, *timeout(20)) {
  for (const net::Deadline past : {net::Deadline(-1h), net::Deadline(Milliseconds::min())}) {
    net::TcpServer<Echo> server{loopback(), quick()};
    Running running(server);
    Client client(server);
    BOOST_TEST(client.ask("it serves") == "it serves");
    running.stop(past);
  }
}

BOOST_AUTO_TEST_SUITE_END()
