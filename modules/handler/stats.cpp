module;

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

module net.handler;

namespace net {
namespace {

struct Member {
  std::string_view name;
  std::uint64_t Stats::* value;
  bool is_now = false;  // a current value, which has no rate of growth
};

constexpr std::array members{Member{"accepted", &Stats::accepted},
                             Member{"active", &Stats::active, true},
                             Member{"waiting", &Stats::waiting, true},
                             Member{"parked", &Stats::parked, true},
                             Member{"lingering", &Stats::lingering, true},
                             Member{"served", &Stats::served},
                             Member{"closed_idle", &Stats::closed_idle},
                             Member{"shed", &Stats::shed},
                             Member{"shed_waiting", &Stats::shed_waiting},
                             Member{"shed_rejected", &Stats::shed_rejected},
                             Member{"shed_evicted", &Stats::shed_evicted},
                             Member{"shed_greedy", &Stats::shed_greedy},
                             Member{"shed_too_many", &Stats::shed_too_many},
                             Member{"shed_too_fast", &Stats::shed_too_fast},
                             Member{"timed_out", &Stats::timed_out},
                             Member{"failed", &Stats::failed},
                             Member{"cut", &Stats::cut},
                             Member{"dropped", &Stats::dropped},
                             Member{"refused", &Stats::refused},
                             Member{"not_introduced", &Stats::not_introduced},
                             Member{"drained", &Stats::drained},
                             Member{"requests", &Stats::requests},
                             Member{"replies", &Stats::replies},
                             Member{"replies_dropped", &Stats::replies_dropped},
                             Member{"datagrams_lost", &Stats::datagrams_lost},
                             Member{"handler_errors", &Stats::handler_errors},
                             Member{"hook_errors", &Stats::hook_errors},
                             Member{"peer_gone", &Stats::peer_gone},
                             Member{"time_outs", &Stats::time_outs},
                             Member{"accept_errors", &Stats::accept_errors},
                             Member{"policy_errors", &Stats::policy_errors}};
static_assert(sizeof(Stats) == members.size() * sizeof(std::uint64_t), "none is left out");

// Returns an empty text if there is no rate.
std::string rate_of(const Member& member, const Stats& stats, const Stats& before, double seconds) {
  const std::uint64_t now = stats.*member.value;
  const std::uint64_t then = before.*member.value;
  if (member.is_now || seconds <= 0 || now < then) return {};
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.1f/s", static_cast<double>(now - then) / seconds);
  return text.data();
}

}  // namespace

Stats& Stats::operator+=(const Stats& other) noexcept {
  for (const Member& member : members) this->*member.value += other.*member.value;
  return *this;
}

std::string to_string(const Stats& stats) {
  std::string line;
  for (const Member& member : members) {
    if (!line.empty()) line += ' ';
    line.append(member.name).append("=").append(std::to_string(stats.*member.value));
  }
  return line;
}

std::string to_table(const Stats& stats) { return to_table(stats, {}, {}); }

std::string to_table(const Stats& stats, const Stats& before,
                     std::chrono::duration<double> between) {
  struct Row {
    std::string_view name;
    std::string value;
    std::string rate;
  };
  std::array<Row, members.size()> rows;
  std::size_t count = 0;
  std::array<std::size_t, 3> widths{};
  for (const Member& member : members) {
    if (stats.*member.value == 0) continue;
    Row& row = rows.at(count++);
    row = {member.name, std::to_string(stats.*member.value),
           rate_of(member, stats, before, between.count())};
    widths = {std::max(widths[0], row.name.size()), std::max(widths[1], row.value.size()),
              std::max(widths[2], row.rate.size())};
  }
  const auto pad = [](std::size_t width, std::size_t size) {
    return std::string(width - size, ' ');
  };
  std::string table;
  for (std::size_t i = 0; i < count; ++i) {
    const Row& row = rows.at(i);
    table.append(row.name).append(pad(widths[0], row.name.size())).append("  ");
    table.append(pad(widths[1], row.value.size())).append(row.value);
    if (!row.rate.empty()) {
      table.append("  ").append(pad(widths[2], row.rate.size())).append(row.rate);
    }
    table += '\n';
  }
  return table;
}

RequestTimes& RequestTimes::operator+=(const RequestTimes& other) noexcept {
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
  sum += other.sum;
  return *this;
}

}  // namespace net
