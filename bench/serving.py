"""The servers that are measured, and how each is started."""

import dataclasses
import os
import pathlib
import shutil
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
class Setup:
    """Where the programs are, and what was measured on the machine."""

    root: pathlib.Path  # of the repository
    programs: pathlib.Path
    beside: pathlib.Path | None = None  # of another commit
    loops: dict = dataclasses.field(default_factory=dict)  # language -> iterations of work.h in a microsecond


_POOL = ("--policy", "pool")
_THREAD = ("--policy", "thread")

SERVERS = {
    server.name: server
    for server in (
        Server("netserve", "`net::TcpServer` (`UdpServer`, `UnixStreamServer`) with `net::ThreadPool`, the default", "netserve", _POOL, "workers", quick=True),
        Server("netserve_before", "the same of another commit (`--beside`)", "before", _POOL, "workers", quick=True),
        Server("netserve_8", "the same, with 8 workers", "netserve", (*_POOL, "--threads", "8"), quick=True),
        Server("netserve_64", "the same, with 64 workers", "netserve", (*_POOL, "--threads", "64"), quick=True),
        Server("netserve_loop", "the same, with a handler that answers all requests at hand in a loop", "netserve", (*_POOL, "--loop"), quick=True),
        Server("netserve_inline", "the same with `net::Inline`", "netserve", ("--policy", "inline")),
        Server("netserve_thread", "the same with `net::ThreadPerRequest`, one request a call", "netserve", _THREAD),
        Server("netserve_conversation", "the same with conversations (`void handle()`)", "netserve", (*_THREAD, "--conversation")),
        Server("netserve_fork", "the same with `net::ForkPerRequest`", "netserve", ("--policy", "fork"), forks=True),
        Server("serial_section", "a pool of the same, with 8 workers, which measures its lock and its poll, `bench/serial_section.cpp`", "serial_section", ("--threads", "8"), quick=True),
        Server("netserve_redis", "an example of netserve that speaks Redis' protocol, `examples/redis_server.cpp`", "../examples/redis_server", quick=True),
        Server("floor", "a loop of epoll in C, one thread: the least it can cost", "floor", quick=True),
        Server("floor_plain_close", "the same, which does not close politely", "floor", ("--plain-close",)),
        Server("asio_pool", "Asio, one `io_context` that as many threads as cores run", "asio_pool", (), "workers", quick=True),
        Server("asio_2", "the same, with 2 threads", "asio_pool", ("--threads", "2"), quick=True),
        Server("asio_8", "the same, with 8 threads", "asio_pool", ("--threads", "8"), quick=True),
        Server("asio_64", "the same, with 64 threads", "asio_pool", ("--threads", "64"), quick=True),
        Server("asio_per_core", "Asio, an `io_context` for each core", "asio_per_core", (), "workers"),
        Server("asio_one", "Asio, one `io_context` and one thread", "asio_per_core", ("--threads", "1")),
        Server("poco", "POCO's `TCPServer`, with a thread for each connection", "poco", (), "connections"),
        Server("libevent", "libevent's `bufferevent`, one thread", "libevent"),
        Server("go", "Go's `net`, a goroutine for each connection, or one for all datagrams", "go", quick=True),
        Server("threads", "a thread for each connection, blocking, in C", "threads"),
        Server("python_threading", "Python's `ThreadingTCPServer` (`UDP`, `UnixStream`)", "python_threading.py"),
        Server("python_forking", "Python's `ForkingTCPServer`", "python_forking.py", forks=True),
        Server("redis", "Redis itself, which keeps nothing on disk", "redis.py", quick=True),
    )
}
ASIO = ("asio_pool", "asio_per_core", "asio_one")
PEERS = (*ASIO, "poco", "go")


def redis_program():
    """Returns the path of the server. Debian's package redis-tools contains it as redis-check-rdb."""
    found = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    if not found or not shutil.which("redis-benchmark"):
        raise FileNotFoundError("redis-server")
    return found


def _program(server, setup):
    """Returns the words that start the server. Raises FileNotFoundError if it is not there."""
    if server.name == "redis":
        return [PYTHON, str(HERE / "servers/redis.py"), redis_program()]
    if server.program.endswith(".py"):
        return [PYTHON, str(HERE / "servers" / server.program)]
    if server.program == "before":
        if not setup.beside:
            raise FileNotFoundError("a build of another commit (--beside)")
        candidates = [setup.beside / "bench/netserve", setup.beside / "netserve"]
    else:
        candidates = [setup.programs / server.program]
    for path in candidates:
        if path.is_file():
            return [os.path.normpath(path)]
    raise FileNotFoundError(server.program)


def _threads(server, scenario):
    if server.threads == "workers":
        return scenario.workers
    return scenario.connections + scenario.idle if server.threads == "connections" else 0


def _work(scenario, language, setup):
    arguments = []
    if scenario.compute:
        arguments += ["--compute", str(scenario.compute)]
        if language in setup.loops:
            arguments += ["--loops", str(setup.loops[language])]
    if scenario.sleep:
        arguments += ["--sleep", str(scenario.sleep)]
    if scenario.every > 1:
        arguments += ["--every", str(scenario.every)]
    return arguments


def server_command(server, scenario, setup, path="PATH"):
    """Returns the command line that serves the scenario; a scenario of a Unix socket is served at that path. Raises
    FileNotFoundError if the program is not built, and NotImplementedError if the demo server cannot serve the scenario."""
    if scenario.kind == "compile":
        return []
    program = _program(server, setup)
    if scenario.kind == "redis":
        return program
    settings = ["--buffer", str(max(4096, scenario.size))]
    if scenario.network == "udp":
        settings.append("--udp")
    elif scenario.network == "unix":
        settings += ["--unix", path]
    work = _work(scenario, "go" if server.name == "go" else "c", setup)
    demo = os.environ.get("NETSERVE_BENCH_DEMO")
    if demo and server.program == "netserve":
        if work or scenario.flags or not set(server.arguments) <= {"--policy", "pool", "inline", "thread", "fork"}:
            raise NotImplementedError("the demo's handler only echoes")
        address = f"unix:{path}" if scenario.network == "unix" else f"{scenario.network}://127.0.0.1:0"
        return [demo, "echo", "--listen", address, *server.arguments]
    threads = _threads(server, scenario)
    if threads:
        settings += ["--threads", str(threads)]
    return [*program, *server.arguments, *settings, *work, *scenario.flags]
