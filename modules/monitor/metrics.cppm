/// \file
/// `net.monitor:metrics`, internal: what servers count, as text.
module net.monitor:metrics;

import net.standard;
import net.socket;
import net.server;

namespace net {

// What one server did, at one time.
struct Sample {
  std::string name;
  Stats stats;
  Load load;
  RequestTimes times;
  bool ready = false;
};

// In Prometheus' text format, version 0.0.4.
std::string metrics_of(std::span<const Sample> samples);
// As one line of JSON, for the page. `now` in milliseconds, from any start.
std::string json_of(std::span<const Sample> samples, std::int64_t now);

}  // namespace net
