/// \file
/// `net.server:running_mark`, internal: the servers whose handlers this thread runs.
module net.server:running_mark;

import net.standard;
import :service;

namespace net {

// While it lives, marks this thread as running a handler or a hook of the server. A `server_close`
// there would wait for itself.
class RunningMark {
 public:
  explicit RunningMark(const Service& service) noexcept;
  RunningMark(const RunningMark&) = delete;
  RunningMark& operator=(const RunningMark&) = delete;
  ~RunningMark();
  static bool is_set(const Service& service) noexcept;

 private:
  const Service* service_;
  const RunningMark* outer_;
};

}  // namespace net
