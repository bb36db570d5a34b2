/// \file
/// `net.socket:sending_files`: sends files, without copying them through user space if possible.
export module net.socket:sending_files;

import net.standard;
import :deadline;
import :socket;

export namespace net {

/// Sends `count` bytes of a file from `offset` on, within `deadline` in total; without a count,
/// sends the file to its end. Returns the number of bytes sent, which is smaller than `count` only
/// if the file ended. The file position does not change. If the file has no positions (a pipe, for
/// example), the next bytes are read and sent, and `offset` must be 0; after an error, bytes that
/// were read and not sent are lost. As with `sendall`, it is unknown after an error how many bytes
/// the peer received. sendfile(2).
/// Throws `invalid_argument` if the socket is not a stream or has a send timeout of zero,
/// `invalid_seek` for an offset into a pipe, and the errors of reading the file.
std::uint64_t sendfile(Socket& socket, int file, std::uint64_t offset = 0,
                       std::optional<std::uint64_t> count = {},
                       Deadline deadline = Deadline::never());

/// Sends at most `count` bytes of a file from `offset` on, without waiting. Returns the number of
/// bytes sent; 0 if the file has ended, and nothing if the socket takes no bytes now.
/// Throws `invalid_seek` if the file has no positions (a pipe, for example), and the errors of
/// reading the file.
std::optional<std::size_t> try_sendfile(Socket& socket, int file, std::uint64_t offset,
                                        std::size_t count);

}  // namespace net
