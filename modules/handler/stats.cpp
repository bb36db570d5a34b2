module;

#include <cstdint>
#include <initializer_list>

module net.handler;

namespace net {

Stats& Stats::operator+=(const Stats& other) noexcept {
  for (std::uint64_t Stats::* const member : {&Stats::accepted,
                                              &Stats::active,
                                              &Stats::waiting,
                                              &Stats::parked,
                                              &Stats::lingering,
                                              &Stats::served,
                                              &Stats::closed_idle,
                                              &Stats::shed,
                                              &Stats::timed_out,
                                              &Stats::failed,
                                              &Stats::cut,
                                              &Stats::dropped,
                                              &Stats::refused,
                                              &Stats::shed_waiting,
                                              &Stats::shed_rejected,
                                              &Stats::shed_evicted,
                                              &Stats::shed_greedy,
                                              &Stats::requests,
                                              &Stats::drained,
                                              &Stats::replies,
                                              &Stats::replies_dropped,
                                              &Stats::datagrams_lost,
                                              &Stats::handler_errors,
                                              &Stats::hook_errors,
                                              &Stats::peer_gone,
                                              &Stats::time_outs,
                                              &Stats::accept_errors,
                                              &Stats::policy_errors}) {
    this->*member += other.*member;
  }
  return *this;
}

}  // namespace net
