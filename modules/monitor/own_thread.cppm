/// \file
/// `net.monitor:own_thread`, internal: the threads of a monitor.
module;

#include <functional>
#include <thread>

module net.monitor:own_thread;

namespace net {

// Starts a thread that blocks all signals of the program: signal handlers run on the threads of the
// program, whose system calls they may have to interrupt. ps(1) and debuggers show the name, which
// has at most 15 characters and must outlive the thread. Throws
// `std::errc::resource_unavailable_try_again` if no thread can be started.
std::thread start_own_thread(const char* name, std::function<void()> run);

}  // namespace net
