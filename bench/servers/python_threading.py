"""Python's servers with ThreadingMixIn: a thread for each connection, or each datagram."""

from python_echo import serve
import socketserver


serve(
    socketserver.ThreadingMixIn,
    {
        "daemon_threads": True,  # so that stopping does not wait for clients
        "request_queue_size": 4096,  # Python's default, 5, overflows when many clients connect at once
    },
)
