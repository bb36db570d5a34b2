#include "control_group.hpp"

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <system_error>
#include <thread>

namespace support {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

ControlGroup::ControlGroup(const std::string& controller)
    : path_("/sys/fs/cgroup/" + controller + "/netserve-test-" + std::to_string(::getpid())) {
  std::error_code error;
  made_ = fs::exists(path_.parent_path() / "cgroup.procs") && fs::create_directory(path_, error);
}

ControlGroup::~ControlGroup() {
  // The processes that were in the group may still be ending.
  for (int i = 0; made_ && ::rmdir(path_.c_str()) != 0 && i < 1000; ++i) {
    std::this_thread::sleep_for(1ms);
  }
}

bool ControlGroup::write(const char* file, const std::string& text) const {
  return made_ && (std::ofstream(path_ / file) << text << std::flush).good();
}

}  // namespace support
