/// \file
/// `net.server:unix_reply`, internal: answers to Unix clients whose sockets have a path.
///
/// The address of a sender is the path that it bound. The kernel would look that path up again for
/// the answer: with the server's working directory and rights, and with whatever has the path by
/// then. So a client could make a privileged server write to sockets that the client itself cannot
/// reach. Therefore `reply_to_path` looks up the file itself, without following any symbolic link,
/// and answers only if the file belongs to the user who sent the datagram.
module net.server:unix_reply;

import net.standard;
import net.socket;

namespace net {

// Makes the kernel add the sender's credentials to each datagram.
void pass_credentials(Socket& socket);

// Returns whether the credentials name a user. Datagrams that were sent before `pass_credentials`,
// and users whom this user namespace does not know, have a placeholder instead of a user ID.
bool names_a_user(const PeerCredentials& sender) noexcept;

// Sends a datagram to the socket file at `to`, without waiting. Returns 0 or an errno. EACCES: the
// file does not belong to `sender`. EDESTADDRREQ: the path is relative, or there is no `sender`.
// Precondition: `to` is a Unix address with a path.
int reply_to_path(int socket, std::span<const std::byte> bytes, const Address& to,
                  const std::optional<PeerCredentials>& sender) noexcept;

}  // namespace net
