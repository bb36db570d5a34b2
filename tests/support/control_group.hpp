// Limits on the resources of processes, cgroups(7).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>

namespace support {

// A group of processes under one controller.
class ControlGroup {
 public:
  ControlGroup(const ControlGroup&) = delete;
  ControlGroup& operator=(const ControlGroup&) = delete;

  // Returns false if the process cannot be moved into the group.
  bool take(pid_t process) const { return write("cgroup.procs", std::to_string(process)); }
  std::string directory() const { return path_.string(); }

 protected:
  explicit ControlGroup(const std::string& controller);
  ~ControlGroup();
  bool write(const char* file, const std::string& text) const;

 private:
  std::filesystem::path path_;
  bool made_ = false;
};

// A group with a limit on the number of processes and threads.
class PidsGroup : public ControlGroup {
 public:
  PidsGroup() : ControlGroup("pids") {}
  bool allow(std::size_t tasks) const { return write("pids.max", std::to_string(tasks)); }
};

// A group with a limit on memory.
class MemoryGroup : public ControlGroup {
 public:
  MemoryGroup() : ControlGroup("memory") {}
  bool allow(std::size_t bytes) const {
    return write("memory.limit_in_bytes", std::to_string(bytes));
  }
};

}  // namespace support
