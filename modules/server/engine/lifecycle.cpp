module;

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <system_error>

module net.server;

import net.socket;
import :lifecycle;

namespace net {

void Lifecycle::activate() noexcept {
  const std::lock_guard lock(mutex_);
  if (stage_.load() == Stage::bound) stage_.store(Stage::active);
}

void Lifecycle::begin_serving(const char* call) {
  const std::lock_guard lock(mutex_);
  if (stage_.load() == Stage::active && serving_) {
    throw std::system_error(std::make_error_code(std::errc::operation_in_progress), call);
  }
  if (stage_.load() != Stage::active) {
    throw std::system_error(std::make_error_code(std::errc::bad_file_descriptor), call);
  }
  serving_ = true;
}

void Lifecycle::end_serving() noexcept {
  const std::lock_guard lock(mutex_);
  serving_ = false;
  changed_.notify_all();
}

std::optional<DrainReport> Lifecycle::begin_closing() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !closing_; });
  if (closed()) return report_;
  closing_ = true;
  stage_.store(Stage::draining);
  return std::nullopt;
}

bool Lifecycle::wait_until_free(Deadline deadline) {
  std::unique_lock lock(mutex_);
  const auto free = [this] { return !serving_; };
  if (!deadline.is_never()) return changed_.wait_until(lock, deadline.point(), free);
  changed_.wait(lock, free);
  return true;
}

void Lifecycle::end_closing(const std::optional<DrainReport>& report) noexcept {
  const std::lock_guard lock(mutex_);
  closing_ = false;
  if (report) {
    report_ = *report;
    stage_.store(Stage::closed);
  }
  changed_.notify_all();
}

}  // namespace net
