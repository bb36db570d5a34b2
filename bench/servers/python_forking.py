"""Python's servers with ForkingMixIn: a process for each connection, or each datagram."""

from python_echo import serve
import socketserver


serve(
    socketserver.ForkingMixIn,
    {
        "block_on_close": False,  # so that stopping does not wait for clients
        "request_queue_size": 4096,  # Python's default, 5, overflows when many clients connect at once
        "max_children": 4096,  # Python's default, 40, would leave the other clients unserved
    },
)
