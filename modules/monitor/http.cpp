module;

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

module net.monitor;

import :http;

namespace net {
namespace {

namespace http = boost::beast::http;

std::string_view reason_of(unsigned status) {
  const auto reason = http::obsolete_reason(static_cast<http::status>(status));
  return {reason.data(), reason.size()};
}

// The page loads nothing from other sites, runs nothing from them, and cannot be embedded in
// another page.
constexpr std::string_view common_header =
    "Cache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Content-Security-Policy: default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n";

HttpRequest refusal(unsigned status) { return {.refused = status}; }

// Returns whether a line of the header continues on the next one, or ends with LF alone.
bool is_ambiguous(std::string_view header) {
  if (header.find("\r\n ") != header.npos || header.find("\r\n\t") != header.npos) return true;
  for (auto at = header.find('\n'); at != header.npos; at = header.find('\n', at + 1)) {
    if (at == 0 || header[at - 1] != '\r') return true;
  }
  return false;
}

}  // namespace

std::size_t http_request_size(std::span<const std::byte> received) noexcept {
  const std::string_view text(reinterpret_cast<const char*>(received.data()), received.size());
  const auto end = text.find("\r\n\r\n");
  if (end != text.npos) return end + 4;
  // If lines end with LF alone, the header may never contain CR LF CR LF.
  if (text.size() >= largest_http_header || is_ambiguous(text)) return text.size();
  return 0;
}

// A proxy in front of the monitor must see the same requests as the monitor, so every ambiguous
// request is refused, and a refusal ends the connection. Beast refuses blanks before a colon and
// differing Content-Length fields, but it unfolds folded lines (RFC 9112, 5.2).
HttpRequest parse_http_request(std::string_view header) {
  if (is_ambiguous(header)) return refusal(400);
  http::request_parser<http::empty_body> parser;
  parser.header_limit(largest_http_header);
  parser.body_limit(0);
  boost::beast::error_code error;
  parser.put(boost::asio::buffer(header.data(), header.size()), error);
  if (error == http::error::header_limit) return refusal(431);
  if (error == http::error::bad_version) return refusal(505);
  if (error == http::error::need_more) {
    return refusal(header.size() >= largest_http_header ? 431 : 400);
  }
  const bool has_body = error == http::error::body_limit || error == http::error::unexpected_body;
  if (error && !has_body) return refusal(400);
  const auto& request = parser.get();
  if (!has_body && !parser.is_header_done()) return refusal(400);
  if (request.version() != 10 && request.version() != 11) return refusal(505);
  if (request.version() == 11 && request.count(http::field::host) != 1) return refusal(400);
  HttpRequest parsed;
  parsed.head = request.method() == http::verb::head;
  if (!parsed.head && request.method() != http::verb::get) return refusal(405);
  // Without this check, a body would be read as the next request.
  const auto lengths = request.count(http::field::content_length);
  const bool empty = lengths == 0 || (lengths == 1 && request[http::field::content_length] == "0");
  if (has_body || !empty || request.count(http::field::transfer_encoding) != 0) {
    return refusal(413);
  }
  const std::string_view target(request.target().data(), request.target().size());
  if (!target.starts_with('/')) return refusal(400);
  parsed.path = target.substr(0, target.find('?'));
  parsed.keep = request.keep_alive();
  parsed.keep_is_said = request.version() == 10;
  return parsed;
}

std::string text_of(const HttpResponse& response, const HttpRequest& request) {
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + " ";
  text.append(reason_of(response.status)).append("\r\n");
  text.append("Content-Type: ").append(response.type).append("\r\n");
  text.append("Content-Length: ").append(std::to_string(response.body.size())).append("\r\n");
  if (response.status == 405) text += "Allow: GET, HEAD\r\n";
  if (!request.keep) {
    text += "Connection: close\r\n";
  } else if (request.keep_is_said) {
    text += "Connection: keep-alive\r\n";
  }
  text.append(common_header).append("\r\n");
  if (!request.head) text += response.body;
  return text;
}

std::string_view event_stream_header() noexcept {
  return "HTTP/1.1 200 OK\r\n"
         "Content-Type: text/event-stream\r\n"
         "Cache-Control: no-store\r\n"
         "X-Content-Type-Options: nosniff\r\n"
         "Connection: close\r\n\r\n"
         "retry: 1000\n\n";
}

}  // namespace net
