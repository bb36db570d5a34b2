// Compiles only if our modules leak no macro. Nothing may be included here.
import net;

#if defined(Expects) || defined(Ensures) || defined(GSL_LIKELY) || defined(assert)
#error "a macro of a library of ours has leaked"
#endif
#if defined(AF_INET) || defined(SOCK_STREAM) || defined(SOL_SOCKET) || defined(MSG_NOSIGNAL) || \
    defined(TCP_NODELAY) || defined(IPPROTO_TCP) || defined(EAI_NONAME) ||                      \
    defined(INET6_ADDRSTRLEN)
#error "a macro of the socket headers has leaked"
#endif
#if defined(EINTR) || defined(errno) || defined(POLLIN) || defined(EPOLLIN) ||             \
    defined(O_NONBLOCK) || defined(SIGTERM) || defined(SIG_DFL) || defined(EFD_CLOEXEC) || \
    defined(STDERR_FILENO)
#error "a macro of the system's headers has leaked"
#endif
#if defined(SIZE_MAX) || defined(NULL) || defined(INT_MAX) || defined(EOF) || defined(offsetof) || \
    defined(UINT64_C) || defined(htons) || defined(major) || defined(linux)
#error "a macro of the C library has leaked"
#endif

// The modules also work without any header.
bool works_without_headers();
bool works_without_headers() { return net::Deadline::never().is_never(); }

// The modules do not bring a name of the standard library along either: with two `string` this
// would be ambiguous.
namespace std {}
namespace ours {
struct string {};
}  // namespace ours
using namespace std;
using namespace ours;
string the_only_string();
string the_only_string() { return {}; }
