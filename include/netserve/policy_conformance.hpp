/// \file
/// The rules for every execution policy, as tests with Boost.Test over real sockets. In a test
/// program that links `netserve::conformance`:
///
///     #define BOOST_TEST_MODULE my_policy
///     #include <netserve/policy_conformance.hpp>
///
///     #include "my_policy.hpp"
///
///     NETSERVE_POLICY_CONFORMANCE(MyPolicy)
///
/// This registers a suite of more than forty tests. If the suite needs to know more about the
/// policy, add a `net::conformance::PolicySetup` in braces:
///
///     NETSERVE_POLICY_CONFORMANCE(MyPolicy, {.options = [] {
///       return MyPolicy::Options{.threads = 2};
///     }})
///
/// This header includes standard headers, then imports `net.server`. Textual headers that your
/// policy needs and that are not listed here must be included before this header. docs/policies.md
/// explains each rule.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <charconv>
#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <set>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "conformance/events.hpp"

import net.server;

// After the import, as these headers use its declarations; they include nothing.
// clang-format off
#include "conformance/subject.hpp"
#include "conformance/observed.hpp"
#include "conformance/trial.hpp"
#include "conformance/requests.hpp"
#include "conformance/failures.hpp"
#include "conformance/draining.hpp"
#include "conformance/waiting.hpp"
#include "conformance/process.hpp"
#include "conformance/together.hpp"
// clang-format on

namespace net::conformance {

template <class P>
PolicySetup<P> setup_for(PolicySetup<P> setup = {}) {
  return setup;
}

/// Registers the tests of a policy with Boost.Test.
class Conformance {
 public:
  Conformance(std::shared_ptr<const Subject> subject, const char* file, std::size_t line)
      : suite_(new boost::unit_test::test_suite(subject->name, file, line)) {
    boost::unit_test::framework::current_auto_test_suite().add(suite_);
    add(request_cases, subject, file, line);
    add(failure_cases, subject, file, line);
    add(waiting_cases, subject, file, line);
    add(drain_cases, subject, file, line);
    add(process_cases, subject, file, line);
    add(together_cases, subject, file, line);
  }

 private:
  template <std::size_t count>
  void add(const std::array<Case, count>& cases, const std::shared_ptr<const Subject>& subject,
           const char* file, std::size_t line) {
    for (const Case& each : cases) {
      boost::unit_test::test_case* const test = boost::unit_test::make_test_case(
          [subject, each] {
            // Checked again, because a command line that names a case, or its suite, enables even a
            // disabled case.
            if (each.applies(*subject)) {
              Trial trial(*subject, each.name);
              each.run(trial);
            }
          },
          each.name, file, line);
      // A case that does not apply is registered too, so that --list_content shows what is not
      // tested.
      if (!each.applies(*subject)) {
        test->p_default_status.value = boost::unit_test::test_unit::RS_DISABLED;
      }
      suite_->add(test);
    }
  }

  boost::unit_test::test_suite* suite_;
};

}  // namespace net::conformance

// A different object name for each use.
#define NETSERVE_CONFORMANCE_NAME_(number) netserve_policy_conformance_##number
#define NETSERVE_CONFORMANCE_NAME(number) NETSERVE_CONFORMANCE_NAME_(number)

/// Adds the tests of a policy to this program. The name of the policy's type must contain no commas
/// (use an alias if necessary). A setup in braces may follow.
#define NETSERVE_POLICY_CONFORMANCE(Policy, ...)                                       \
  static const ::net::conformance::Conformance NETSERVE_CONFORMANCE_NAME(__COUNTER__)( \
      std::make_shared<::net::conformance::SubjectOf<Policy>>(                         \
          #Policy, ::net::conformance::setup_for<Policy>(__VA_ARGS__)),                \
      __FILE__, __LINE__)
