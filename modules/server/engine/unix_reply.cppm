/// \file
/// `net.server:unix_reply`, internal: answers to the socket files of Unix clients.
///
/// A datagram names its sender by the path that the sender has bound. For the answer, the kernel
/// would look up that path again, with the server's working directory and permissions, and the path
/// may name another file by then. So a client could make a privileged server write to sockets that
/// the client itself cannot reach. Therefore the library opens the file itself, without following
/// any link, and answers only if the file belongs to the user who sent the datagram.
module net.server:unix_reply;

import net.standard;
import net.socket;

namespace net {

// Makes the kernel attach the sender's credentials to each datagram.
void pass_credentials(Socket& socket);

// Returns whether the credentials name a user at all. For datagrams that were sent before
// `pass_credentials`, and for users unknown in this user namespace, they have a placeholder ID.
bool names_a_user(const PeerCredentials& sender) noexcept;

// Sends a datagram to the socket file at `to`, without waiting. Returns 0 or an error number.
// EACCES: the file does not belong to the sender. EDESTADDRREQ: the path is relative, or the sender
// of the datagram is unknown. Precondition: `to` is a Unix address with a path.
int reply_to_path(int socket, std::span<const std::byte> bytes, const Address& to,
                  const std::optional<PeerCredentials>& sender) noexcept;

}  // namespace net
