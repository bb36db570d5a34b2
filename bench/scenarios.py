"""What is measured: the servers, and what is asked of them."""

import dataclasses
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


@dataclasses.dataclass(frozen=True)
class Server:
    name: str
    about: str
    program: str  # built, or a script of servers/
    arguments: tuple = ()
    threads: str = ""  # --threads: "workers" of the scenario if it has any, or one for each of its "connections"
    forks: bool = False
    quick: bool = False


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    about: str
    servers: tuple
    kind: str = "load"
    connections: int = 64
    connections_of: dict = dataclasses.field(default_factory=dict)  # where a server gets others
    idle: int = 0
    size: int = 64
    network: str = "tcp"  # or "udp", or "unix"
    short: bool = False
    sleep: int = 0  # milliseconds
    workers: int = 0
    quick_too: tuple = ()

    def load_arguments(self, server, address):
        """For the server that listens at that port, or path."""
        arguments = ["--unix" if self.network == "unix" else "--port", address]
        if self.network == "udp":
            arguments.append("--udp")
        arguments += ["--connections", str(self.connections_of.get(server, self.connections))]
        if self.idle:
            arguments += ["--idle", str(self.idle)]
        arguments += ["--size", str(self.size)]
        return arguments + (["--short"] if self.short else [])

    def in_short(self, sample):
        if self.kind == "start":
            return f"{sample['start_ms']:.1f} ms to start, {sample['stop_ms']:.1f} ms to stop"
        if self.kind == "compile":
            return f"{sample['check']:.2f} s to check, {sample['compile']:.2f} s to compile"
        return f"{sample['requests_per_second']:.0f} requests/s, {sample['cpu']:.2f} us of CPU each"


def _by_name(*entries):
    return {entry.name: entry for entry in entries}


SERVERS = _by_name(
    Server("netserve", "`net::TcpServer` (`UdpServer`, `UnixStreamServer`) with `net::ThreadPool`, the default", "netserve", ("--policy", "pool"), "workers",
           quick=True),
    Server("netserve_inline", "the same with `net::Inline`", "netserve", ("--policy", "inline")),
    Server("netserve_thread", "the same with `net::ThreadPerRequest`", "netserve", ("--policy", "thread")),
    Server("netserve_fork", "the same with `net::ForkPerRequest`", "netserve", ("--policy", "fork"), forks=True),
    Server("floor", "a loop of epoll in C, one thread: the least it can cost", "floor", quick=True),
    Server("floor_plain_close", "the same, which does not close politely", "floor", ("--plain-close",)),
    Server("asio_pool", "Asio, one `io_context` that as many threads as cores run", "asio_pool", (), "workers",
           quick=True),
    Server("asio_per_core", "Asio, an `io_context` for each core", "asio_per_core", (), "workers"),
    Server("asio_one", "Asio, one `io_context` and one thread", "asio_per_core", ("--threads", "1")),
    Server("poco", "POCO's `TCPServer`, with a thread for each connection", "poco", (), "connections"),
    Server("libevent", "libevent's `bufferevent`, one thread", "libevent"),
    Server("go", "Go's `net`, a goroutine for each connection, or one for all datagrams", "go", quick=True),
    Server("threads", "a thread for each connection, blocking, in C", "threads"),
    Server("python_threading", "Python's `ThreadingTCPServer` (`UDP`, `UnixStream`)", "python_threading.py"),
    Server("python_forking", "Python's `ForkingTCPServer`", "python_forking.py", forks=True),
)
ASIO = ("asio_pool", "asio_per_core", "asio_one")
PEERS = (*ASIO, "poco", "go")

_ALL = tuple(name for name in SERVERS if name != "floor_plain_close")
_NO_PROCESSES = tuple(name for name in _ALL if not SERVERS[name].forks)
_EVENTS = ("netserve", "netserve_inline", "floor", *ASIO, "libevent", "go")
_IDLE = (*_EVENTS, "threads", "python_threading")

SCENARIOS = _by_name(
    Scenario(
        "persistent-64", "64 persistent connections",
        "64-byte messages, each connection one at a time.",
        _ALL,
    ),
    Scenario(
        "persistent-1000", "1,000 persistent connections",
        "64-byte messages, each connection one at a time.",
        _NO_PROCESSES, connections=1000,
    ),
    Scenario(
        "idle-0", "16 active connections beside no idle ones",
        "64-byte messages.",
        _IDLE, connections=16,
    ),
    Scenario(
        "idle-5000", "16 active connections beside 5,000 idle ones",
        "The idle ones have asked once before, and are asked again at the end.",
        _IDLE, connections=16, idle=5000,
    ),
    Scenario(
        "idle-10000", "16 active connections beside 10,000 idle ones",
        "As before; what has a thread for each connection is left out.",
        _EVENTS, connections=16, idle=10000,
    ),
    Scenario(
        "short", "Short connections",
        "Connect, ask with 64 bytes, read the answer, close; 64 at a time.",
        (*_ALL, "floor_plain_close"), short=True, quick_too=("floor_plain_close",),
    ),
    Scenario(
        "large", "Messages of 16 KiB",
        "64 persistent connections.",
        _NO_PROCESSES, size=16384,
    ),
    Scenario(
        "blocking", "Handlers that sleep 10 ms",
        "64 workers and 256 clients; the server with a thread for each connection has 64 clients, so as many "
        "handlers at a time.",
        ("netserve", "threads", "asio_pool"),
        connections=256, connections_of={"threads": 64}, sleep=10, workers=64, quick_too=("threads",),
    ),
    Scenario(
        "udp-64", "Datagrams of 64 clients",
        "UDP, 64 bytes; each client has a socket, and asks again when it is answered, or has not been for 200 ms. "
        "More clients would ask more of the server's receive buffer than the system gives it by default.",
        # Without Python's forks: 64 of them at a time take longer than what counts as lost.
        ("netserve", "netserve_inline", "netserve_thread", "netserve_fork", "floor", "asio_pool", "asio_one", "go",
         "python_threading"),
        network="udp",
    ),
    Scenario(
        "udp-large", "Datagrams of 8,000 bytes",
        "UDP, 8 clients: the default receive buffer has room for a dozen such datagrams.",
        ("netserve", "netserve_inline", "floor", "asio_one", "go"),
        network="udp", connections=8, size=8000, quick_too=("asio_one",),
    ),
    Scenario(
        "unix-64", "64 persistent connections of a Unix socket",
        "64-byte messages, each connection one at a time.",
        ("netserve", "netserve_inline", "floor", "asio_pool", "asio_one", "libevent", "go", "python_threading"),
        network="unix",
    ),
    Scenario(
        "unix-short", "Short connections to a Unix socket",
        "Connect, ask with 64 bytes, read the answer, close; 64 at a time.",
        ("netserve", "netserve_inline", "floor", "asio_pool", "asio_one", "go"),
        network="unix", short=True,
    ),
    Scenario(
        "start", "Start and stop",
        "From the start of the process until it listens, and from SIGTERM until it has ended.",
        _ALL, kind="start",
    ),
    Scenario(
        "compile", "Compiling the ten-line server",
        "README.md's server, which includes nothing, and the same with Asio's headers, in seconds of processor time.",
        ("netserve", "asio_pool"), kind="compile",
    ),
)


def server_command(server, scenario, programs, path="PATH"):
    """The command line that serves the scenario, one of a Unix socket at that path. Raises FileNotFoundError if
    it is not built."""
    if scenario.kind == "compile":
        return []
    settings = ["--buffer", str(max(4096, scenario.size))]
    if scenario.network == "udp":
        settings.append("--udp")
    elif scenario.network == "unix":
        settings += ["--unix", path]
    if scenario.sleep:
        settings += ["--sleep", str(scenario.sleep)]
    threads = {"workers": scenario.workers, "connections": scenario.connections + scenario.idle}.get(server.threads, 0)
    demo = os.environ.get("NETSERVE_BENCH_DEMO")
    if demo and server.program == "netserve":
        if scenario.sleep:
            raise NotImplementedError("the demo's handler does not sleep")
        address = f"unix:{path}" if scenario.network == "unix" else f"{scenario.network}://127.0.0.1:0"
        return [demo, "echo", "--listen", address, *server.arguments]
    if threads:
        settings += ["--threads", str(threads)]
    if server.program.endswith(".py"):
        return [PYTHON, str(HERE / "servers" / server.program), *server.arguments, *settings]
    program = programs / server.program
    if not program.exists():
        raise FileNotFoundError(server.program)
    return [str(program), *server.arguments, *settings]
