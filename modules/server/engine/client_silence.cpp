module;

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>

module net.server;

import net.socket;
import :client_silence;

namespace net {

void ClientSilence::note_in(Silence& shared) noexcept {
  noted_ = &shared;
  if (socket_ != nullptr) socket_->note_silence_in(&shared.reading);
}

CoarseTime ClientSilence::idle_since(bool conversation) const noexcept {
  if (input_ended()) return 0;
  // A conversation notes only `reading`. Anything else there was written by a child with a wild
  // pointer.
  if (conversation) return time_of(noted_->reading);
  // A wait may begin or end meanwhile, so `amid` is read on both sides of `between`.
  if (noted_->amid.load() != 0) return 0;
  const CoarseTime between = time_of(noted_->between);
  if (noted_->amid.load() != 0) return 0;
  return std::max(between, time_of(noted_->reading));
}

CoarseTime ClientSilence::evictable_since(bool conversation) const noexcept {
  if (input_ended()) return 0;
  if (conversation) return time_of(noted_->reading);
  const bool was_amid = noted_->amid.load() != 0;
  const CoarseTime between = time_of(noted_->between);
  return was_amid || noted_->amid.load() != 0 ? if_slow(between) : between;
}

void ClientSilence::end_input() noexcept {
  if (socket_ == nullptr || input_ended_.exchange(true)) return;
  noted_->ended.store(1);
  // Ending the input alone does not wake a thread that waits to send.
  ::shutdown(socket_->fileno(), waits_for_room() ? SHUT_RDWR : SHUT_RD);
}

void ClientSilence::end_input_after(std::chrono::milliseconds quiet) noexcept {
  if (socket_ == nullptr) return;
  ends_itself_ = true;
  socket_->end_input_after(timeout_of(quiet));
}

void ClientSilence::ask_to_end(bool conversation, std::chrono::milliseconds quiet) noexcept {
  asked_to_end_.store(true);
  if (idle_since(conversation) != 0) {
    end_input();
  } else if (conversation) {
    end_input_after(quiet);
  }
}

}  // namespace net
