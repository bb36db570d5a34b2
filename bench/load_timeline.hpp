// Latencies by the time at which their requests were sent.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "load_connection.hpp"

class Timeline {
 public:
  Timeline() = default;
  explicit Timeline(Time begin) : begin_(begin) {}

  void record(Time sent, std::chrono::nanoseconds latency) {
    const auto bin = static_cast<std::size_t>((sent - begin_) / bin_width);
    if (bin >= bins_.size()) bins_.resize(bin + 1);
    bins_[bin].push_back(
        static_cast<std::uint32_t>(std::min<std::int64_t>(latency.count() / 100, UINT32_MAX)));
  }

  // {"bin_ms": B, "p99": [microseconds, ...]}, with null for a bin in which no request was sent.
  std::string json() {
    std::string text = "{\"bin_ms\": " + std::to_string(bin_width.count()) + ", \"p99\": [";
    const char* separator = "";
    for (std::vector<std::uint32_t>& bin : bins_) {
      text += separator;
      text += bin.empty() ? "null" : std::to_string(p99(bin) / 10);
      separator = ", ";
    }
    return text + "]}";
  }

 private:
  static constexpr std::chrono::milliseconds bin_width{20};

  static std::uint32_t p99(std::vector<std::uint32_t>& bin) {
    const auto place = bin.begin() + static_cast<std::ptrdiff_t>((bin.size() * 99 + 99) / 100 - 1);
    std::nth_element(bin.begin(), place, bin.end());
    return *place;
  }

  Time begin_;
  std::vector<std::vector<std::uint32_t>> bins_;  // tenths of microseconds
};
