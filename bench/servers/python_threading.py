"""Python's ThreadingTCPServer: a thread for each connection."""

from python_echo import serve
import socketserver


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True  # so that stopping does not wait for clients
    request_queue_size = 4096  # its 5 would overflow when many clients come at once


serve(Server)
