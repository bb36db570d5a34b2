// Latencies, counted in buckets whose width grows with the value.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

// Counts any number of values up to 2^40 ns (18 minutes) in fixed memory. Each power of two is
// divided into 128 buckets, so that a percentile is wrong by less than 0.8 %. The maximum is exact.
class Histogram {
 public:
  void record(std::uint64_t value) {
    max_ = std::max(max_, value);
    ++count_;
    ++buckets_[std::min(bucket(value), buckets_.size() - 1)];
  }

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }

  // Returns the smallest value that this share of all values does not exceed, as the end of its
  // bucket.
  std::uint64_t percentile(double share) const {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen >= wanted && seen > 0) return std::min(end(i), max_);
    }
    return max_;
  }

 private:
  static constexpr unsigned bits = 7;
  static constexpr std::uint64_t per_power = std::uint64_t{1} << bits;
  static constexpr unsigned powers = 40;

  static std::size_t bucket(std::uint64_t value) {
    if (value < per_power) return value;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - bits - 1;
    return shift * per_power + (value >> shift);
  }
  static std::uint64_t end(std::size_t index) {
    if (index < 2 * per_power) return index;
    const std::size_t shift = index / per_power - 1;
    return (((index - shift * per_power) + 1) << shift) - 1;
  }

  std::array<std::uint64_t, (powers - bits + 1) * per_power> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};
