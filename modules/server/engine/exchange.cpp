module;

#include <exception>
#include <optional>
#include <string>
#include <utility>

module net.server;

import net.socket;
import net.handler;
import :exchange;
import :service;

namespace net {

Exchange::Exchange(Service& service, Socket socket, const Address& peer, const Address& listener,
                   bool datagram) noexcept
    : RequestContext(std::move(socket), peer, service.options.limits),
      listener_(&listener),
      reader_(stream(), *service.maker, service.options.max_request_size, datagram),
      silence_(datagram ? nullptr : &stream().socket()),
      owed_(stream()),
      handler_(service, *this) {}

void Exchange::shutdown() noexcept { service().shutdown(); }

bool Exchange::stopping() const noexcept {
  return silence_.asked_to_end() || service().draining() || service().stop_asked();
}

std::size_t Exchange::request_size() const noexcept { return reader_.front(); }

Stats Exchange::stats() const { return service().stats(); }

void Exchange::limits_changed() {
  if (conversation()) {
    socket().settimeout(timeout_of(limits().idle), timeout_of(limits().send));
    stream().set_rest_limit(limits().request);
  } else {
    stream().set_answer_limit(limits().answer);
    // The request limit bounds the receives of `handle`, as a deadline.
    socket().settimeout(std::nullopt, timeout_of(limits().send));
  }
}

void Exchange::send_before_release() noexcept {
  try {
    // A write must be sent completely, so flush waits. But after an error, nothing waits for the
    // peer.
    if (ending_ != Outcome::none && ending_ != Outcome::served) {
      stream().flush_now();
    } else {
      stream().flush();
    }
  } catch (const std::exception&) {
    // The connection was reset, or the peer takes nothing. Closing discards the rest.
  }
}

void Exchange::give_away() noexcept {
  given_away_ = true;
  silence_.let_go();
}

void Exchange::fail(std::exception_ptr exception) noexcept {
  ending_ = Outcome::failed;
  const RequestError error = handler_.error(std::move(exception));
  Counters& counters = service().counters;
  Outcome outcome = Outcome::failed;
  if (was_cut()) {
    outcome = Outcome::cut;
  } else if (error.timed_out()) {
    counters.time_out();
    outcome = Outcome::timed_out;
  } else if (error.peer_gone()) {
    counters.peer_gone();
    // Between two requests, a reset is a normal end.
    if (error.phase == Phase::receive && reader_.request_since() == 0 && !owed_.exists()) {
      outcome = Outcome::served;
    }
  } else {
    counters.handler_error();
  }
  const bool receiving = error.phase == Phase::receive && !owed_.exists();
  const auto fault = receiving ? reader_.fault(error) : std::nullopt;
  handler_.abandon();
  if (outcome != Outcome::cut) service().hooks.connection_failed(error);
  if (outcome != Outcome::cut && !given_away_) {
    // Answers that were written before the exception are still sent.
    try {
      if (stream().flush_now() && fault) {
        const std::string word = service().hooks.last_word(client_address(), *fault);
        said_last_word_ = !word.empty();
        if (said_last_word_) socket().try_send(bytes(word));
      }
    } catch (const std::exception&) {
      // The connection was reset, so no answer is possible.
    }
  }
  ended_ = outcome;
}

}  // namespace net
