#pragma once

#include <cstddef>
#include <filesystem>
#include <iterator>

// Returns how many descriptors this process has open.
inline std::size_t open_descriptors() {
  using Entries = std::filesystem::directory_iterator;
  // Reading the directory opens one.
  return static_cast<std::size_t>(std::distance(Entries("/proc/self/fd"), Entries())) - 1;
}
