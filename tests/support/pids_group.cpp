#include "pids_group.hpp"

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <system_error>
#include <thread>

namespace support {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

PidsGroup::PidsGroup() : path_("/sys/fs/cgroup/pids/netserve-test-" + std::to_string(::getpid())) {
  std::error_code error;
  made_ = fs::exists("/sys/fs/cgroup/pids/cgroup.procs") && fs::create_directory(path_, error);
}

PidsGroup::~PidsGroup() {
  // What was in it may still be on its way out.
  for (int i = 0; made_ && ::rmdir(path_.c_str()) != 0 && i < 1000; ++i) {
    std::this_thread::sleep_for(1ms);
  }
}

bool PidsGroup::write(const char* file, const std::string& text) const {
  return made_ && (std::ofstream(path_ / file) << text << std::flush).good();
}

}  // namespace support
