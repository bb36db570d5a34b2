// The demo server, from outside: clients that try to make it hold more memory than it may use.

#include <cstddef>
#include <string>
#include <vector>

#include "support/canary.hpp"
#include "support/client.hpp"
#include "support/control_group.hpp"
#include "support/program_test.hpp"
#include "support/survivor.hpp"

namespace {

constexpr std::size_t memory = std::size_t{64} * 1024 * 1024;
constexpr std::size_t clients = 2000;

}  // namespace

BOOST_TEST_DECORATOR(*timeout(120))
BOOST_DATA_TEST_CASE(half_requests_of_many_do_not_fill_its_memory,
                     data::make({std::string("pool"), std::string("thread"),
                                 std::string("inline")}),
                     policy) {
  const MemoryGroup group;
  if (!group.allow(memory)) {
    BOOST_TEST_MESSAGE("no limit of memory can be set here");
    return;
  }
  // The server joins the group before it starts, because it reads its memory limit at the start.
  const std::string join = "echo $$ > " + group.directory() + "/cgroup.procs && exec \"$@\"";
  Survivor server({"--policy", policy, "--framing", "line"}, {"/bin/sh", "-c", join, "sh"});
  {
    Canary canary(server.echo.line);
    const std::string half(60'000, 'x');
    std::vector<Client> all;
    for (std::size_t i = 0; i < clients; ++i) {
      all.push_back(server.client());
      all.back().send(half);
    }
    BOOST_TEST(server.counts("shed_greedy", clients / 2));
    canary.join();
    BOOST_TEST(canary.wrong().empty(), canary.wrong());
    BOOST_TEST(canary.missed().empty(), canary.missed());
    BOOST_TEST((canary.longest() < 1s), canary.longest().count() << " ms");
  }
  server.common_end();
  BOOST_TEST(server.complaints().empty(), server.complaints());
}
