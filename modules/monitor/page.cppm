/// \file
/// `net.monitor:page`, internal: the web page, in its three parts.
module net.monitor:page;

import net.standard;

namespace net {

extern const std::string_view page_html;
extern const std::string_view page_css;
extern const std::string_view page_js;

}  // namespace net
