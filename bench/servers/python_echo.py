"""The handler and the command line of the two servers with Python's socketserver."""

import argparse
import resource
import signal
import socket
import socketserver
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--buffer", type=int, default=4096)
parser.add_argument("--sleep", type=int, default=0, help="milliseconds before each answer")
arguments = parser.parse_args()


class Echo(socketserver.BaseRequestHandler):
    def setup(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self):
        try:
            while data := self.request.recv(arguments.buffer):
                if arguments.sleep:
                    time.sleep(arguments.sleep / 1000)
                self.request.sendall(data)
        except ConnectionError:
            pass


def serve(server_class):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server_class.allow_reuse_address = True
    with server_class(("127.0.0.1", arguments.port), Echo) as server:
        print("listening on", server.server_address[1], flush=True)
        server.serve_forever()
