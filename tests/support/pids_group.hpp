// A limit of processes and threads.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>

namespace support {

// A group of processes with a limit of how many they are, threads included.
class PidsGroup {
 public:
  PidsGroup();
  PidsGroup(const PidsGroup&) = delete;
  PidsGroup& operator=(const PidsGroup&) = delete;
  ~PidsGroup();

  // False if that cannot be done here.
  bool take(pid_t process) const { return write("cgroup.procs", std::to_string(process)); }
  bool allow(std::size_t tasks) const { return write("pids.max", std::to_string(tasks)); }

 private:
  bool write(const char* file, const std::string& text) const;

  std::filesystem::path path_;
  bool made_ = false;
};

}  // namespace support
