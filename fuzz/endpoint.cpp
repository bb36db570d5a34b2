// The demo's endpoints: --listen and LISTEN_FDS.

#include "../app/endpoint.hpp"

#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "fuzz.hpp"

namespace {

// Rebuilds the text of an endpoint from its parts, which must keep everything that the text says.
std::string text_of(const Endpoint& endpoint) {
  const std::string scheme = Endpoint::scheme(endpoint.kind);
  switch (endpoint.kind) {
    case Endpoint::Kind::tcp:
    case Endpoint::Kind::udp:
      return scheme + '[' + endpoint.host + "]:" + std::to_string(endpoint.port);
    case Endpoint::Kind::unix_stream:
    case Endpoint::Kind::unix_datagram: return scheme + endpoint.path;
    case Endpoint::Kind::descriptor: break;
  }
  return scheme + std::to_string(endpoint.descriptor);
}

void parse(const std::string& text) {
  try {
    const Endpoint endpoint = Endpoint::parse(text);
    const Endpoint again = Endpoint::parse(text_of(endpoint));
    require(endpoint.text == text && again.kind == endpoint.kind && again.host == endpoint.host &&
                again.port == endpoint.port && again.path == endpoint.path &&
                again.descriptor == endpoint.descriptor,
            "an endpoint is read back");
  } catch (const std::invalid_argument&) {
    // Most texts are not endpoints.
  }
}

void inherit(const std::string& count, bool ours) {
  ::setenv("LISTEN_PID", std::to_string(::getpid() + (ours ? 0 : 1)).c_str(), 1);
  ::setenv("LISTEN_FDS", count.c_str(), 1);
  try {
    const auto endpoints = inherited_endpoints();
    require(ours || endpoints.empty(), "what was meant for another process");
  } catch (const std::runtime_error&) {
    require(ours, "what was meant for another process is not read");
  }
  require(std::getenv("LISTEN_FDS") == nullptr, "no other process is told");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider script(data, size);
  const bool ours = script.ConsumeBool();
  const std::string text = script.ConsumeRemainingBytesAsString();
  parse(text);
  inherit(text, ours);
  return 0;
}
