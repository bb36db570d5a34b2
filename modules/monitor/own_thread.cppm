/// \file
/// `net.monitor:own_thread`, internal: the threads of a monitor.
module;

#include <functional>
#include <thread>

module net.monitor:own_thread;

namespace net {

// Starts a thread that takes none of the program's signals: their handlers run on the program's own
// threads, whose system calls they may have to interrupt. The name is shown by ps(1) and debuggers,
// and has at most 15 characters; it outlives the thread. Throws
// `std::errc::resource_unavailable_try_again` if there is no thread.
std::thread start_own_thread(const char* name, std::function<void()> run);

}  // namespace net
