module;

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

module net.monitor;

import net.socket;
import net.handler;
import net.server;
import :metrics;

namespace net {
namespace {

enum class Type : std::uint8_t { counter, gauge };

// A member of Stats, and the value of its label in a family of metrics.
struct Member {
  std::uint64_t Stats::* value;
  std::string_view label = {};
};
struct StatsFamily {
  Type type;
  std::string_view name;
  std::string_view label;
  std::string_view help;
  std::span<const Member> members;
};

constexpr std::array accepted{Member{&Stats::accepted}};
constexpr std::array states{Member{&Stats::active, "active"}, Member{&Stats::waiting, "waiting"},
                            Member{&Stats::parked, "parked"},
                            Member{&Stats::lingering, "lingering"}};
// Does not contain `shed`, which is the sum of its reasons.
constexpr std::array ends{Member{&Stats::served, "served"},
                          Member{&Stats::closed_idle, "closed_idle"},
                          Member{&Stats::timed_out, "timed_out"},
                          Member{&Stats::failed, "failed"},
                          Member{&Stats::cut, "cut"},
                          Member{&Stats::dropped, "dropped"},
                          Member{&Stats::refused, "refused"},
                          Member{&Stats::not_introduced, "not_introduced"},
                          Member{&Stats::shed_waiting, "shed_waiting"},
                          Member{&Stats::shed_rejected, "shed_rejected"},
                          Member{&Stats::shed_evicted, "shed_evicted"},
                          Member{&Stats::shed_greedy, "shed_greedy"},
                          Member{&Stats::shed_too_many, "shed_too_many"},
                          Member{&Stats::shed_too_fast, "shed_too_fast"}};
constexpr std::array requests{Member{&Stats::requests}};
constexpr std::array drained{Member{&Stats::drained}};
constexpr std::array replies{Member{&Stats::replies}};
constexpr std::array replies_dropped{Member{&Stats::replies_dropped}};
constexpr std::array datagrams_lost{Member{&Stats::datagrams_lost}};
constexpr std::array errors{
    Member{&Stats::handler_errors, "handler"}, Member{&Stats::hook_errors, "hook"},
    Member{&Stats::peer_gone, "peer_gone"},    Member{&Stats::time_outs, "time_out"},
    Member{&Stats::accept_errors, "accept"},   Member{&Stats::policy_errors, "policy"}};

const std::array<StatsFamily, 9> families{{
    {Type::counter, "netserve_connections_accepted_total", "",
     "Connections that were taken from the kernel.", accepted},
    {Type::gauge, "netserve_connections", "state",
     "Connections now: in a handler or on the way to one, waiting for a place, between two "
     "requests, closed by us while the peer has not closed yet.",
     states},
    {Type::counter, "netserve_connections_ended_total", "outcome",
     "Connections that have ended, by how.", ends},
    {Type::counter, "netserve_requests_total", "", "Requests that handlers were called for.",
     requests},
    {Type::counter, "netserve_connections_drained_total", "",
     "Connections that were served to their end while the server was closed.", drained},
    {Type::counter, "netserve_replies_total", "", "Datagrams that handlers sent.", replies},
    {Type::counter, "netserve_replies_dropped_total", "",
     "Datagrams that were not sent: nobody to send them to, or no room.", replies_dropped},
    {Type::counter, "netserve_datagrams_lost_total", "",
     "Datagrams that the kernel dropped, as the receive buffer was full.", datagrams_lost},
    {Type::counter, "netserve_errors_total", "kind",
     "Exceptions of handlers and hooks, resets by peers, limits that passed, refusals of accept(2) "
     "and of policies.",
     errors},
}};

struct LoadFamily {
  std::string_view name;
  std::string_view help;
  std::size_t (*value)(const Sample& sample);
};

const std::array<LoadFamily, 8> loads{{
    {"netserve_connections_open", "Connections that are open, or datagrams in hand.",
     [](const Sample& sample) { return sample.load.connections; }},
    {"netserve_connections_max", "How many may be: max_connections.",
     [](const Sample& sample) { return sample.load.max_connections; }},
    {"netserve_buffered_bytes",
     "Bytes that wait for clients: requests that are not whole, answers that are not taken.",
     [](const Sample& sample) { return sample.load.buffered; }},
    {"netserve_buffered_bytes_max", "How many may: buffer_memory.",
     [](const Sample& sample) { return sample.load.max_buffered; }},
    {"netserve_policy_waiting", "Requests in the policy's queue.",
     [](const Sample& sample) { return sample.load.policy.waiting; }},
    {"netserve_workers", "Threads or children that the policy has.",
     [](const Sample& sample) { return sample.load.policy.workers; }},
    {"netserve_workers_busy", "Of these, which run a request.",
     [](const Sample& sample) { return sample.load.policy.busy; }},
    {"netserve_workers_max", "How many it may have.",
     [](const Sample& sample) { return sample.load.policy.most; }},
}};

std::string text_of(double number) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  return {text.data(), end};
}

// Quotes a label value of Prometheus or a string of JSON. Both formats escape the same three
// characters in the same way. Other control characters become '?': only the name of a server can
// contain them.
std::string quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') quoted += '\\';
    if (letter == '\n') {
      quoted += "\\n";
    } else if (static_cast<unsigned char>(letter) < 0x20) {
      quoted += '?';
    } else {
      quoted += letter;
    }
  }
  return quoted += '"';
}

void begin_family(std::string& text, std::string_view name, std::string_view type,
                  std::string_view help) {
  text.append("# HELP ").append(name).append(" ").append(help).append("\n");
  text.append("# TYPE ").append(name).append(" ").append(type).append("\n");
}

void add(std::string& text, std::string_view name, const Sample& sample, std::string_view label,
         std::string_view label_value, const std::string& value) {
  text.append(name).append("{server=").append(quoted(sample.name));
  if (!label.empty()) text.append(",").append(label).append("=").append(quoted(label_value));
  text.append("} ").append(value).append("\n");
}

void add_times(std::string& text, std::span<const Sample> samples) {
  constexpr std::string_view name = "netserve_request_duration_seconds";
  begin_family(text, name, "histogram", "How long handlers took for a request.");
  const std::string bucket = std::string(name) + "_bucket";
  for (const Sample& sample : samples) {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < RequestTimes::bounds.size(); ++i) {
      count += sample.times.counts[i];
      add(text, bucket, sample, "le", text_of(RequestTimes::bounds[i]), std::to_string(count));
    }
    count += sample.times.counts.back();
    add(text, bucket, sample, "le", "+Inf", std::to_string(count));
    add(text, std::string(name) + "_sum", sample, "", "", text_of(sample.times.sum));
    add(text, std::string(name) + "_count", sample, "", "", std::to_string(count));
  }
}

}  // namespace

std::string metrics_of(std::span<const Sample> samples) {
  std::string text;
  for (const StatsFamily& family : families) {
    begin_family(text, family.name, family.type == Type::counter ? "counter" : "gauge",
                 family.help);
    for (const Sample& sample : samples) {
      for (const Member& member : family.members) {
        add(text, family.name, sample, family.label, member.label,
            std::to_string(sample.stats.*member.value));
      }
    }
  }
  for (const LoadFamily& family : loads) {
    begin_family(text, family.name, "gauge", family.help);
    for (const Sample& sample : samples) {
      add(text, family.name, sample, "", "", std::to_string(family.value(sample)));
    }
  }
  begin_family(text, "netserve_ready", "gauge", "1 while the server wants new clients.");
  for (const Sample& sample : samples) {
    add(text, "netserve_ready", sample, "", "", sample.ready ? "1" : "0");
  }
  add_times(text, samples);
  return text;
}

std::string json_of(std::span<const Sample> samples, std::int64_t now) {
  std::string text = "{\"now\":" + std::to_string(now) + ",\"servers\":[";
  const auto number = [&](std::string_view key, std::uint64_t value) {
    text.append(",").append(quoted(key)).append(":").append(std::to_string(value));
  };
  for (const Sample& sample : samples) {
    if (&sample != samples.data()) text += ',';
    text.append("{\"name\":").append(quoted(sample.name));
    text.append(",\"ready\":").append(sample.ready ? "true" : "false");
    for (const StatsFamily& family : families) {
      for (const Member& member : family.members) {
        std::string_view key = member.label;
        if (key.empty()) {
          key = family.name.substr(sizeof "netserve_" - 1);
          key.remove_suffix(sizeof "_total" - 1);
        }
        number(key, sample.stats.*member.value);
      }
    }
    for (const LoadFamily& family : loads) {
      number(family.name.substr(sizeof "netserve_" - 1), family.value(sample));
    }
    text += ",\"took\":[";
    for (const std::uint64_t count : sample.times.counts) text += std::to_string(count) + ",";
    text.back() = ']';
    text += '}';
  }
  return text += "]}";
}

}  // namespace net
