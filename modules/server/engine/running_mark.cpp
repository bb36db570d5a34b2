module;

#include <utility>

module net.server;

import :running_mark;

namespace net {
namespace {

thread_local const RunningMark* running_here = nullptr;

}  // namespace

RunningMark::RunningMark(const Service& service) noexcept
    : service_(&service), outer_(std::exchange(running_here, this)) {}

RunningMark::~RunningMark() { running_here = outer_; }

bool RunningMark::is_set(const Service& service) noexcept {
  for (const RunningMark* mark = running_here; mark != nullptr; mark = mark->outer_) {
    if (mark->service_ == &service) return true;
  }
  return false;
}

}  // namespace net
