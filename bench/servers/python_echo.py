"""The handlers and the command line of the two servers with Python's socketserver."""

import argparse
import resource
import signal
import socket
import socketserver
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--udp", action="store_true", help="datagrams in place of TCP")
parser.add_argument("--unix", metavar="PATH", help="a Unix socket in place of the port")
parser.add_argument("--buffer", type=int, default=4096)
arguments = parser.parse_args()


class Echo(socketserver.BaseRequestHandler):
    def setup(self):
        if not arguments.unix:
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self):
        try:
            while data := self.request.recv(arguments.buffer):
                self.request.sendall(data)
        except ConnectionError:
            pass


class DatagramEcho(socketserver.BaseRequestHandler):
    def handle(self):
        data, server_socket = self.request
        server_socket.sendto(data, self.client_address)


def serve(mixin, settings):
    """Serves as the command line says, with a class that has this mix-in and these settings."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    address = arguments.unix or ("127.0.0.1", arguments.port)
    if arguments.udp:
        base, handler = socketserver.UDPServer, DatagramEcho
    else:
        base, handler = socketserver.UnixStreamServer if arguments.unix else socketserver.TCPServer, Echo
        settings = settings | {"allow_reuse_address": True}
    server_class = type("Server", (mixin, base), settings)
    with server_class(address, handler) as server:
        print("listening on", arguments.unix or server.server_address[1], flush=True)
        server.serve_forever()
