"""Python's ForkingTCPServer: a process for each connection."""

from python_echo import serve
import socketserver


class Server(socketserver.ForkingTCPServer):
    block_on_close = False  # so that stopping does not wait for clients
    request_queue_size = 4096  # its 5 would overflow when many clients come at once
    max_children = 4096  # its 40 would leave the other clients unserved


serve(Server)
