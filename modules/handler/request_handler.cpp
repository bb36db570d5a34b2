module;

#include <gsl/assert>

module net.handler;

import net.socket;

namespace net {

BaseRequestHandler::~BaseRequestHandler() = default;

void BaseRequestHandler::setup() {}

void BaseRequestHandler::finish() {}

void BaseRequestHandler::attach(RequestContext& context) {
  Expects(context_ == nullptr);
  context_ = &context;
  attached(context);
}

void BaseRequestHandler::attached(RequestContext&) {}

RequestContext& BaseRequestHandler::context() const {
  Expects(context_ != nullptr);
  return *context_;
}

Socket& BaseRequestHandler::request() const { return context().socket(); }

const Address& BaseRequestHandler::client_address() const { return context().client_address(); }

StreamRequestHandler::~StreamRequestHandler() = default;

void StreamRequestHandler::attached(RequestContext& context) {
  rfile = StreamReader(context.stream());
  wfile = StreamWriter(context.stream());
}

DatagramRequestHandler::~DatagramRequestHandler() = default;

Datagram& DatagramRequestHandler::datagram() const {
  Expects(context().datagram() != nullptr);
  return *context().datagram();
}

void DatagramRequestHandler::attached(RequestContext& context) {
  Expects(context.datagram() != nullptr);
  rfile = StreamReader(context.stream());
  wfile = StreamWriter(context.stream());
}

}  // namespace net
