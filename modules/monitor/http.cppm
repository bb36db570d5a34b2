/// \file
/// `net.monitor:http`, internal: requests and responses of HTTP/1.1, RFC 9112.
module net.monitor:http;

import net.standard;

namespace net {

// The largest header of a request that is accepted.
inline constexpr std::size_t largest_http_header = 8192;

// Returns the size of the header of the first request; 0 if more bytes are needed. If the header is
// too large, or has a line that no valid header has, returns the number of received bytes, so that
// the request is refused at once.
std::size_t http_request_size(std::span<const std::byte> received) noexcept;

struct HttpRequest {
  // The status of the response if the request is refused: 400, 405, 413, 431, 505. Otherwise 0.
  unsigned refused = 0;
  std::string path = {};  // of the request target, without a query
  bool head = false;
  bool keep = false;  // the connection stays open
  // The client expects a close unless the response says otherwise: HTTP/1.0, RFC 9112, 9.3.
  bool keep_is_said = false;
};
HttpRequest parse_http_request(std::string_view header);

struct HttpResponse {
  unsigned status = 200;
  std::string_view type = "text/plain; charset=utf-8";
  std::string body = {};
};
// Returns the response with its header; without its body for HEAD.
std::string text_of(const HttpResponse& response, const HttpRequest& request);
// Returns the header of an event stream that ends with the connection.
std::string_view event_stream_header() noexcept;

}  // namespace net
