"""redis.py REDIS-SERVER: starts Redis at a free port, and prints the port when Redis listens."""

import os
import socket
import sys
import time

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]

if os.fork() == 0:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            print(f"listening on {port}", flush=True)
            break
        except ConnectionRefusedError:
            time.sleep(0.01)
    os._exit(0)

os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
os.execv(sys.argv[1], ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--loglevel", "warning"])
