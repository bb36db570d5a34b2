// The demo server, from outside: it is stopped for longer than a limit, and its clients' requests
// arrived in time meanwhile.

#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "support/client.hpp"
#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

constexpr auto longer_than_a_limit = 1300ms;

// Stops the server and its children while an object of this class exists.
class Pause {
 public:
  explicit Pause(const Survivor& server) : server_(server) { signal(SIGSTOP); }
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;
  ~Pause() { signal(SIGCONT); }

 private:
  void signal(int number) const {
    server_.echo.process.signal(number);
    for (const pid_t child : server_.child_processes()) ::kill(child, number);
  }

  const Survivor& server_;
};

const Words limits{"--request-timeout", "1", "--idle-timeout", "1", "--framing", "line"};

Words with_limits(const std::string& policy) {
  Words words{"--policy", policy};
  words.insert(words.end(), limits.begin(), limits.end());
  return words;
}

}  // namespace

// Many clients, so that the server looks at limits and at input in turns when it continues.
BOOST_TEST_DECORATOR(*timeout(60))
BOOST_DATA_TEST_CASE(the_rest_of_a_request_that_came_during_a_pause_is_served, policies, policy) {
  Survivor server(with_limits(policy));
  {
    const std::vector<Client> clients = connect(server, policy == "fork" ? 10 : 200);
    for (const Client& client : clients) client.send("the first half");
    {
      const Pause pause(server);
      for (const Client& client : clients) client.send(", and the second\n");
      std::this_thread::sleep_for(longer_than_a_limit);
    }
    std::size_t served = 0;
    for (const Client& client : clients) {
      served += client.receive_to_end() == "the first half, and the second\n" ? 1 : 0;
    }
    BOOST_TEST(served == clients.size());
  }
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(a_request_that_came_during_a_pause_is_served, policies, policy) {
  Survivor server(with_limits(policy));
  {
    const Client client = server.client();
    BOOST_TEST(echoes(client));
    {
      const Pause pause(server);
      client.send("a line\n");
      std::this_thread::sleep_for(longer_than_a_limit);
    }
    BOOST_TEST(client.receive_line() == "a line\n");
  }
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}

// A request whose rest did not arrive is still too late.
BOOST_TEST_DECORATOR(*timeout(30))
BOOST_DATA_TEST_CASE(half_a_request_is_cut_after_a_pause, policies, policy) {
  Survivor server(with_limits(policy));
  {
    const Client client = server.client();
    BOOST_TEST(echoes(client));
    client.send("the first half");
    {
      const Pause pause(server);
      client.send(", and a bit");
      std::this_thread::sleep_for(longer_than_a_limit);
    }
    BOOST_TEST(client.receive_to_end() == "");
    BOOST_TEST(server.counts("timed_out", 1));
  }
  server.common_end();
}
