module;

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

module net.server;

import :buffer_budget;

namespace net {
namespace {

namespace fs = std::filesystem;

std::size_t machine() noexcept {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return SIZE_MAX;
  return static_cast<std::size_t>(pages) * static_cast<std::size_t>(page);
}

std::size_t limit_of(int resource) noexcept {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) return SIZE_MAX;
  return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : limit.rlim_cur;
}

// The limits of all parent groups apply as well. In a container, the mounted root may be the
// container's own group, and `path` need not exist below it.
std::size_t limit_of_group(const fs::path& root, std::string_view path, const char* name) {
  std::size_t least = SIZE_MAX;
  for (fs::path group = root / path;; group = group.parent_path()) {
    std::size_t most = 0;
    if (std::ifstream file(group / name); file >> most) least = std::min(least, most);
    if (group.native().size() <= root.native().size()) return least;
  }
}

// cgroups(7): a line for each hierarchy, as "2:cpu,memory:/path" of version 1 or "0::/path" of
// version 2.
std::size_t control_groups() {
  std::size_t least = SIZE_MAX;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':');
    const auto second = line.find(":/");
    if (second == std::string::npos) continue;
    const auto path = std::string_view(line).substr(second + 2);
    const std::string controllers = line.substr(0, second).substr(first + 1);
    if (line.starts_with("0:")) {
      least = std::min(least, limit_of_group("/sys/fs/cgroup", path, "memory.max"));
    } else if (("," + controllers + ",").find(",memory,") != std::string::npos) {
      const fs::path root = "/sys/fs/cgroup/memory";
      least = std::min(least, limit_of_group(root, path, "memory.limit_in_bytes"));
    }
  }
  return least;
}

std::size_t usable() {
  return std::min({machine(), limit_of(RLIMIT_AS), limit_of(RLIMIT_DATA), control_groups()});
}

}  // namespace

BufferBudget::BufferBudget(std::size_t most, Wakeup& serving_thread)
    : most_(most != 0 ? most : usable() / 4), serving_thread_(serving_thread) {}

void BufferBudget::give_back() noexcept {
  if (!is_worth_giving_back(held())) return;
  highest_.store(0, std::memory_order_relaxed);
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

}  // namespace net
