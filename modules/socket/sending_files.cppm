/// \file
/// `net.socket:sending_files`: the bytes of a file to a stream, without a copy of ours.
export module net.socket:sending_files;

import net.standard;
import :deadline;
import :socket;

export namespace net {

/// Sends `count` bytes of a file from `offset` on (without a count: all to its end), within
/// `deadline` in total; returns how many, which is fewer only if the file ended before. The file's
/// own position stays where it is. Of what has no position, a pipe for example, the next bytes are
/// read and sent, and `offset` must be 0; what was read when an error came is lost. As with
/// `sendall`, after an error it is unknown how many bytes the peer got. sendfile(2).
/// Throws `invalid_argument` if the socket is no stream or must not wait, `invalid_seek` for an
/// offset into a pipe, and what reading the file throws.
std::uint64_t sendfile(Socket& socket, int file, std::uint64_t offset = 0,
                       std::optional<std::uint64_t> count = {},
                       Deadline deadline = Deadline::never());

/// Sends what the socket takes of `count` bytes of a file from `offset` on, without waiting;
/// returns how many that were, 0 if the file has no more, and nothing if the socket takes none now.
/// For files with positions. Throws `invalid_seek` for others, and what reading the file throws.
std::optional<std::size_t> try_sendfile(Socket& socket, int file, std::uint64_t offset,
                                        std::size_t count);

}  // namespace net
