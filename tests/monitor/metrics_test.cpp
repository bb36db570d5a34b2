// The texts that the monitor makes of servers' counters. No test can import these functions, so
// this file is a part of their module.

module;

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstring>
#include <regex>
#include <span>
#include <string>
#include <vector>

module net.monitor:metrics_test;

import net.handler;
import net.server;
import :metrics;

using boost::unit_test::timeout;
using net::Sample;
using net::Stats;

namespace {

constexpr std::size_t members = sizeof(Stats) / sizeof(std::uint64_t);

// Returns a sample in which each member has a different number.
Sample numbered(const std::string& name = "tcp://127.0.0.1:80") {
  Sample sample{.name = name, .stats = {}, .load = {}, .times = {}};
  for (std::size_t i = 0; i < members; ++i) {
    const std::uint64_t number = 1'000'000 + i;
    std::memcpy(reinterpret_cast<char*>(&sample.stats) + i * sizeof number, &number, sizeof number);
  }
  return sample;
}

std::size_t occurrences(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (auto at = text.find(word); at != text.npos; at = text.find(word, at + 1)) ++count;
  return count;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_member_of_stats_is_told_once, *timeout(10)) {
  const Sample sample = numbered();
  const std::string metrics = net::metrics_of(std::span(&sample, 1));
  const std::string json = net::json_of(std::span(&sample, 1), 1);
  for (std::size_t i = 0; i < members; ++i) {
    const std::uint64_t number = 1'000'000 + i;
    if (sample.stats.shed == number) continue;  // the sum of the other counters with this prefix
    BOOST_TEST(occurrences(metrics, "} " + std::to_string(number) + "\n") == 1U, number);
    BOOST_TEST(occurrences(json, ":" + std::to_string(number)) == 1U, number);
  }
}

BOOST_AUTO_TEST_CASE(each_family_is_told_once_with_its_help_and_type, *timeout(10)) {
  const std::vector<Sample> samples{numbered("one"), numbered("two")};
  const std::string metrics = net::metrics_of(samples);
  std::string family;
  std::size_t families = 0;
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);) {
    static const std::regex help("# HELP (netserve_[a-z_]+) .*\\.");
    static const std::regex type("# TYPE (netserve_[a-z_]+) (counter|gauge|histogram)");
    static const std::regex value(
        "(netserve_[a-z_]+)\\{server=\"(one|two)\"(,[a-z]+=\"[^\"]+\")?\\} [0-9.e+-]+");
    std::smatch found;
    if (std::regex_match(line, found, help)) {
      family = found[1];
      ++families;
      BOOST_TEST(occurrences(metrics, "# HELP " + family + " ") == 1U);
    } else if (std::regex_match(line, found, type)) {
      BOOST_TEST(found[1] == family);
      BOOST_TEST((found[2] == "counter") == family.ends_with("_total"), line);
    } else {
      BOOST_TEST(std::regex_match(line, found, value), line);
      BOOST_TEST(found[1].str().starts_with(family), line);
    }
  }
  BOOST_TEST(families == 19U);
}

BOOST_AUTO_TEST_CASE(times_are_told_as_a_cumulative_histogram, *timeout(10)) {
  Sample sample = numbered("s");
  sample.times.counts.front() = 2;
  sample.times.counts[1] = 3;
  sample.times.counts.back() = 4;
  sample.times.sum = 1.5;
  const std::string metrics = net::metrics_of(std::span(&sample, 1));
  const std::string name = "netserve_request_duration_seconds";
  for (const std::string line :
       {"_bucket{server=\"s\",le=\"1e-05\"} 2\n", "_bucket{server=\"s\",le=\"2.5e-05\"} 5\n",
        "_bucket{server=\"s\",le=\"10\"} 5\n", "_bucket{server=\"s\",le=\"+Inf\"} 9\n",
        "_sum{server=\"s\"} 1.5\n", "_count{server=\"s\"} 9\n"}) {
    BOOST_TEST(occurrences(metrics, name + line) == 1U, line);
  }
}

BOOST_AUTO_TEST_CASE(names_cannot_break_out_of_their_quotes, *timeout(10)) {
  const Sample sample = numbered("a\"b\\c\nd\x01");
  const std::string quoted = "\"a\\\"b\\\\c\\nd?\"";
  BOOST_TEST(net::metrics_of(std::span(&sample, 1)).find("{server=" + quoted + "}") !=
             std::string::npos);
  BOOST_TEST(net::json_of(std::span(&sample, 1), 1).find("\"name\":" + quoted + ",") !=
             std::string::npos);
}
