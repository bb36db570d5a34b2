/// \file
/// `net.server:unix_reply`, internal: answers to the files of Unix clients.
///
/// The sender of a datagram is named by the path that it bound, and the kernel would look that path
/// up again for the answer: with the server's working directory, its rights, and whatever the path
/// has become since. A client could so have a privileged server write to sockets that are out of
/// its own reach. So the file itself is looked up, without following any link, and answered only if
/// it belongs to the user who sent the datagram.
module net.server:unix_reply;

import net.standard;
import net.socket;

namespace net {

// Has the kernel tell who sends each datagram.
void pass_credentials(Socket& socket);

// Returns whether those credentials name a user at all: datagrams that were sent before
// `pass_credentials`, and users that this user namespace does not know, have a number in its place.
bool names_a_user(const PeerCredentials& sender) noexcept;

// Sends a datagram to the socket file at `to`, without waiting; returns 0, or an error of errno.
// EACCES: the file is not the sender's. EDESTADDRREQ: the path is relative, or nobody knows who
// sent the datagram. Precondition: a Unix address with a path.
int reply_to_path(int socket, std::span<const std::byte> bytes, const Address& to,
                  const std::optional<PeerCredentials>& sender) noexcept;

}  // namespace net
