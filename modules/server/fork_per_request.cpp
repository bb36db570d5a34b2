module;

#include <cstddef>
#include <deque>
#include <gsl/assert>
#include <map>
#include <memory>
#include <system_error>
#include <utility>

module net.server;

import net.socket;
import :core;

namespace net {

// All of this runs on the serving thread.
struct ForkPerRequest::State {
  State(std::size_t most_children, PolicyContext& policy_context)
      : most(most_children), context(policy_context) {}

  void start(Request& request) {
    Child child(request);
    const int ended = child.fileno();
    if (ended < 0) return;
    children.emplace(ended, std::move(child));
    context.watch(ended, [this, ended] { collect(ended); });
  }

  void collect(int ended) {
    context.unwatch(ended);
    children.extract(ended).mapped().collect();
    start_waiting();
  }

  void start_waiting() {
    while (!waiting.empty() && children.size() < most) {
      try {
        start(waiting.front());
      } catch (const std::system_error&) {
        // The end of another child is the next chance.
        if (!children.empty()) return;
      }
      waiting.pop_front();
    }
  }

  const std::size_t most;
  PolicyContext& context;
  std::map<int, Child> children;  // by the descriptor that tells of their end
  std::deque<Request> waiting;
};

ForkPerRequest::ForkPerRequest(Options options, PolicyContext& context)
    : state_(std::make_unique<State>(options.max_children, context)) {
  Expects(options.max_children > 0 && options.max_children <= SharedPage::most_children);
}

ForkPerRequest::~ForkPerRequest() = default;

void ForkPerRequest::process(Request request) {
  if (state_->waiting.empty() && state_->children.size() < state_->most) {
    try {
      state_->start(request);
      return;
    } catch (const std::system_error&) {
      if (state_->children.empty()) throw;
    }
  }
  state_->waiting.push_back(std::move(request));
}

DrainReport ForkPerRequest::drain(Deadline) {
  // The server has seen its connections end; what it could not end is killed with this object.
  return {};
}

std::size_t ForkPerRequest::children() const noexcept { return state_->children.size(); }

}  // namespace net
