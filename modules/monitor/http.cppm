/// \file
/// `net.monitor:http`, internal: requests and responses of HTTP/1.1, RFC 9112.
module net.monitor:http;

import net.standard;

namespace net {

// The largest header of a request.
inline constexpr std::size_t largest_http_header = 8192;

// Returns where the header of the first request ends; 0 if more is needed. What is too large to be
// a header, or has a line that no header may have, is as long as it is, so that it is refused at
// once.
std::size_t http_request_size(std::span<const std::byte> received) noexcept;

struct HttpRequest {
  // What it is answered with if it is not one that is served: 400, 405, 413, 431, 505.
  unsigned refused = 0;
  std::string path = {};  // of its target, without a query
  bool head = false;
  bool keep = false;  // the connection goes on
  // Its client expects a close unless the response says otherwise: HTTP/1.0, RFC 9112, 9.3.
  bool keep_is_said = false;
};
HttpRequest parse_http_request(std::string_view header);

struct HttpResponse {
  unsigned status = 200;
  std::string_view type = "text/plain; charset=utf-8";
  std::string body = {};
};
// With its header; without its body for HEAD.
std::string text_of(const HttpResponse& response, const HttpRequest& request);
// The header of a stream of events that ends with the connection.
std::string_view event_stream_header() noexcept;

}  // namespace net
