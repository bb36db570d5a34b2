/// \file
/// `net.monitor:metrics`, internal: the counters of servers, as text.
module net.monitor:metrics;

import net.standard;
import net.socket;
import net.server;

namespace net {

// The state of one server at one time.
struct Sample {
  std::string name;
  Stats stats;
  Load load;
  RequestTimes times;
  bool ready = false;
};

// Returns the samples in Prometheus' text format, version 0.0.4.
std::string metrics_of(std::span<const Sample> samples);
// Returns the samples as one line of JSON, for the page. `now` is in milliseconds, from an
// arbitrary start.
std::string json_of(std::span<const Sample> samples, std::int64_t now);

}  // namespace net
