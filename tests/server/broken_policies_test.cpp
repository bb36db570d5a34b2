// The conformance suite finds what is wrong with a policy, describes it, and ends.

#include <sys/wait.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <map>
#include <string>

namespace {

constexpr int too_late = 124;  // the status that timeout(1) returns

struct Outcome {
  std::string text;
  int status = -1;
};

// A program for each policy. They wait more than they compute, so all of them run at once.
class Programs {
 public:
  Programs() {
    for (const std::string policy : {"DropsOne", "RunsTwice", "OutlivesDrain", "IgnoresTheDeadline",
                                     "Hangs", "WakesOne", "NewestFirst", "ExpiresAll"}) {
      const std::string seconds = policy == "Hangs" ? "5" : "60";
      const std::string command = "NETSERVE_CONFORMANCE_SECONDS=" + seconds +
                                  " exec timeout 100 " BROKEN_POLICIES " --run_test=" + policy +
                                  " --color_output=no 2>&1";
      programs_[policy] = ::popen(command.c_str(), "re");
    }
  }

  // Waits for the end of a program, which must come in time.
  static Outcome outcome_of(const std::string& policy) {
    Outcome outcome;
    FILE* const program = programs_.at(policy);
    BOOST_TEST_REQUIRE(program != nullptr);
    std::array<char, 4096> line{};
    while (std::fgets(line.data(), line.size(), program) != nullptr) outcome.text += line.data();
    const int status = ::pclose(program);
    if (WIFEXITED(status)) outcome.status = WEXITSTATUS(status);
    BOOST_TEST(outcome.status != too_late, "it did not end\n" << outcome.text);
    return outcome;
  }

 private:
  static inline std::map<std::string, FILE*> programs_;
};

void fails_with(const std::string& policy, const std::string& fault) {
  const auto [text, status] = Programs::outcome_of(policy);
  BOOST_TEST(status > 0, "status " << status << "\n" << text);
  BOOST_TEST(text.find(fault) != std::string::npos, "no \"" << fault << "\" in\n" << text);
}

}  // namespace

BOOST_TEST_GLOBAL_FIXTURE(Programs);

BOOST_AUTO_TEST_CASE(a_policy_that_drops_a_request_is_found, *boost::unit_test::timeout(120)) {
  fails_with("DropsOne", " of 100 clients got no answer");
}

BOOST_AUTO_TEST_CASE(a_policy_that_runs_one_twice_is_found, *boost::unit_test::timeout(120)) {
  fails_with("RunsTwice", "the policy ran one request twice: request ");
}

BOOST_AUTO_TEST_CASE(a_policy_that_outlives_its_drain_is_found, *boost::unit_test::timeout(120)) {
  fails_with("OutlivesDrain",
             "process ran after drain returned: threads of the policy that are left: 1");
}

BOOST_AUTO_TEST_CASE(a_policy_that_ignores_the_deadline_is_found, *boost::unit_test::timeout(120)) {
  fails_with("IgnoresTheDeadline", " ms with a deadline of 200 ms, as a handler was stuck");
}

BOOST_AUTO_TEST_CASE(a_policy_that_hangs_does_not_hang_the_suite, *boost::unit_test::timeout(120)) {
  fails_with("Hangs",
             "the policy hung: after 5 s, the test still waits for the end of server_close");
}

BOOST_AUTO_TEST_CASE(a_policy_that_lets_a_worker_sleep_is_found, *boost::unit_test::timeout(120)) {
  fails_with("WakesOne",
             "a request waits although a worker is idle: of 2 workers, 1 run a request");
}

BOOST_AUTO_TEST_CASE(a_policy_that_starves_a_conversation_is_found,
                     *boost::unit_test::timeout(120)) {
  fails_with("NewestFirst",
             "the policy starves a conversation: 40 that came later were served before it");
}

BOOST_AUTO_TEST_CASE(a_policy_that_expires_too_much_is_found, *boost::unit_test::timeout(120)) {
  fails_with("ExpiresAll",
             "expire ended a conversation that had not waited for longer than its limit");
}
