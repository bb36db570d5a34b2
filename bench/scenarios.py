"""The scenarios in which the servers are measured."""

import dataclasses

from serving import ASIO, SERVERS


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    about: str
    servers: tuple
    kind: str = "load"
    connections: int = 64
    connections_of: dict = dataclasses.field(default_factory=dict)  # server -> connections, where a server gets another number
    idle: int = 0
    size: int = 64
    pipeline: int = 1
    network: str = "tcp"  # or "udp", or "unix"
    short: bool = False
    compute: int = 0  # microseconds of arithmetic for each request
    sleep: int = 0  # microseconds, for one request
    every: int = 1  # out of this many
    flags: tuple = ()  # for the server
    load_flags: tuple = ()  # for the load program
    regime: int = 0  # milliseconds between two changes of the handlers
    seconds: float = 0  # of the measurement; 0: as in the other scenarios
    workers: int = 0
    quick_too: tuple = ()
    most_rounds: int = 0  # 0: as many as the run has
    ours: str = "netserve"  # the server of ours that a target refers to
    bases: tuple = ()  # all are compared with these servers, the floor, and the best of Asio
    chart: bool = True

    @property
    def works(self):
        return self.name.startswith("work-")

    def load_arguments(self, server, address):
        """Returns the arguments of the load program for a server at that port or path."""
        arguments = ["--unix" if self.network == "unix" else "--port", address]
        if self.network == "udp":
            arguments.append("--udp")
        arguments += ["--connections", str(self.connections_of.get(server, self.connections))]
        if self.idle:
            arguments += ["--idle", str(self.idle)]
        arguments += ["--size", str(self.size)]
        if self.pipeline > 1:
            arguments += ["--pipeline", str(self.pipeline)]
        return [*arguments, *(["--short"] if self.short else []), *self.load_flags]

    def in_short(self, sample):
        if self.kind == "start":
            return f"{sample['start_ms']:.1f} ms to start, {sample['stop_ms']:.1f} ms to stop"
        if self.kind == "compile":
            return f"{sample['check']:.2f} s to check, {sample['compile']:.2f} s to compile"
        if self.kind == "serial":
            return f"{sample['locked_ns']:.0f} + {sample['transfer_ns']:.0f} ns with the lock, {sample['poll_ns']:.0f} ns in the poll"
        if self.kind == "redis":
            return f"{sample['ping']:.0f} PING, {sample['set']:.0f} SET, {sample['get']:.0f} GET a second"
        if self.kind == "quiet":
            return f"{sample['quiet_instructions']:.0f} instructions a second"
        if self.kind == "count":
            return ", ".join(f"{figure:.2f} {metric.replace('_', ' ')} a request" for metric, figure in sample.items())
        if self.regime:
            return f"worst p99 of 20 ms {sample['worst_p99']:.0f} us, {sample['bins_over_5_ms']} times above 5 ms"
        return f"{sample['requests_per_second']:.0f} requests/s, {sample['cpu']:.2f} us of CPU each"


_EXTRA = ("netserve_before", "netserve_8", "netserve_64", "netserve_loop", "netserve_redis", "netserve_conversation", "serial_section",
          "floor_plain_close", "asio_2", "asio_8", "asio_64", "redis")
_ALL = tuple(name for name in SERVERS if name not in _EXTRA)
_NO_PROCESSES = tuple(name for name in _ALL if not SERVERS[name].forks)
_EVENTS = ("netserve", "netserve_inline", "floor", *ASIO, "libevent", "go")
_IDLE = (*_EVENTS, "threads", "python_threading")
_BEFORE = ("netserve_before",)
WORK_PEERS = ("asio_2", "asio_64", "go", "threads", "poco")
_WORK = ("netserve_8", "netserve_64", "netserve_thread", "netserve_conversation", *WORK_PEERS)


def _work(name, title, **work):
    """Yields the scenario with 64 and with 1,000 connections."""
    ours = "netserve_64" if work.get("sleep") else "netserve_8"
    for connections in (64, 1000):
        yield Scenario(
            f"work-{name}-{connections}", f"{title}, {connections:,} connections", "64-byte messages. Each connection has one request in progress at a time.",
            _WORK, connections=connections, ours=ours, chart=False, quick_too=("threads",), **work,
        )


_LISTED = (
    Scenario(
        "persistent-64", "64 persistent connections",
        "64-byte messages. Each connection has one request in progress at a time.",
        (*_BEFORE, *_ALL, "netserve_conversation"), bases=(*_BEFORE, "threads"),
    ),
    Scenario(
        "persistent-1000", "1,000 persistent connections",
        "64-byte messages. Each connection has one request in progress at a time.",
        (*_BEFORE, *_NO_PROCESSES, "netserve_conversation"), connections=1000, bases=_BEFORE,
    ),
    Scenario(
        "idle-0", "16 active connections beside no idle ones",
        "64-byte messages.",
        (*_BEFORE, *_IDLE), connections=16, bases=_BEFORE,
    ),
    Scenario(
        "idle-5000", "16 active connections beside 5,000 idle ones",
        "Each idle connection has made one request before, and makes another one at the end.",
        (*_BEFORE, *_IDLE), connections=16, idle=5000, bases=_BEFORE,
    ),
    Scenario(
        "idle-10000", "16 active connections beside 10,000 idle ones",
        "As before, without the servers that have a thread for each connection.",
        (*_BEFORE, *_EVENTS), connections=16, idle=10000, bases=_BEFORE,
    ),
    Scenario(
        "short", "Short connections",
        "Connect, ask with 64 bytes, read the answer, close; 64 at a time.",
        (*_BEFORE, *_ALL, "floor_plain_close"), short=True, quick_too=("floor_plain_close",), bases=("floor_plain_close", *_BEFORE),
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
        connections=256, connections_of={"threads": 64}, sleep=10000, workers=64, quick_too=("threads",), bases=("threads",),
    ),
    *_work("compute-5", "Handlers that compute 5 µs", compute=5),
    *_work("compute-20", "Handlers that compute 20 µs", compute=20),
    *_work("compute-100", "Handlers that compute 100 µs", compute=100),
    *_work("compute-1000", "Handlers that compute 1 ms", compute=1000),
    *_work("sleep-1-of-20", "Handlers of which one in 20 sleeps 1 ms", sleep=1000, every=20),
    *_work("sleep-5-of-10", "Handlers of which one in 10 sleeps 5 ms", sleep=5000, every=10),
    *_work("sleep-20-of-20", "Handlers of which one in 20 sleeps 20 ms", sleep=20000, every=20),
    *_work("mixed", "Handlers that compute 20 µs, of which one in 5 sleeps 2 ms", compute=20, sleep=2000, every=5),
    Scenario(
        "pipeline", "Pipelines of 16",
        "50 persistent connections, each with 16 requests of 64 bytes at a time, written at once; latencies are those of all 16. The handler of "
        "`netserve` answers one request a call; that of `netserve_loop` all that are there, by a loop of its own. The floor "
        "does not look for the requests in what it echoes.",
        ("netserve", "netserve_loop", "floor", "asio_pool", "asio_one"),
        connections=50, pipeline=16, flags=("--framed",), quick_too=("asio_one",), bases=("netserve_loop",),
    ),
    Scenario(
        "redis", "Redis' protocol, pipelines of 16",
        "`redis-benchmark` with 50 connections and 16 commands at a time, one key.",
        ("netserve_redis", "redis"), kind="redis", ours="netserve_redis",
    ),
    Scenario(
        "regime", "Handlers that change",
        "64 connections; handlers echo for two seconds, then one in 20 sleeps 1 ms for two seconds, and so on. The server says in its answer whether "
        "the handler slept; of the others, p99 by the time at which they were sent, in bins of 20 ms. The worst is that of all bins but the "
        "first after each change.",
        ("netserve_64", "asio_64", "threads"), sleep=1000, every=20, regime=2000, ours="netserve_64",
        flags=("--regime", "2000", "--mark"), load_flags=("--regime", "2000", "--changes", "5"), most_rounds=3, chart=False,
    ),
    Scenario(
        "held", "Seven of eight workers held",
        "8 workers or threads. Seven connections ask for a handler that sleeps for a second, again and again; beside them 16 connections ask 1,000 "
        "times a second in all, on a schedule: latencies count from the time at which a request was due, and are those of these connections.",
        ("netserve_8", "asio_8"), connections=16, flags=("--hold", "1000000"), load_flags=("--rate", "1000", "--holders", "7"),
        seconds=3, ours="netserve_8", chart=False,
    ),
    *(
        Scenario(
            f"serial-{name}", f"The serial section of the pool, {title}", "256 persistent connections, 64-byte messages.", ("serial_section",),
            kind="serial", most_rounds=3, compute=compute, connections=256,
        )
        for name, title, compute in (("echo", "handlers that echo", 0), ("compute", "handlers that compute 10 µs", 10))
    ),
    Scenario(
        "count-echo", "Counted: an echo",
        "64 persistent connections, 64-byte messages. callgrind counts the user instructions, and runs one thread at a time; strace counts the system "
        "calls, and makes all handlers slow, so that a pool wakes more workers than it does without. Each figure is the difference of a run with "
        "4,000 requests and one with 24,000.",
        ("netserve", "netserve_inline", "netserve_thread", "netserve_conversation", "floor", "asio_pool", "asio_one", "poco", "libevent", "go",
         "threads"),
        kind="count", most_rounds=1, quick_too=("asio_one", "netserve_conversation", "netserve_thread", "threads"),
    ),
    Scenario(
        "count-pipeline", "Counted: pipelines of 16",
        "50 persistent connections, each with 16 requests of 64 bytes at a time. Counted in the same way.",
        ("netserve", "netserve_loop", "floor", "asio_pool", "asio_one"),
        kind="count", most_rounds=1, connections=50, pipeline=16, flags=("--framed",), quick_too=("asio_one",),
    ),
    *(
        Scenario(
            f"quiet-{idle}", f"Counted: a quiet second with {idle:,} idle connections", "Each connection has made one request before. None makes one during this second.",
            ("netserve",), kind="quiet", most_rounds=1, connections=1, idle=idle,
        )
        for idle in (1000, 18000)
    ),
    Scenario(
        "udp-64", "Datagrams of 64 clients",
        "UDP, 64 bytes; each client has a socket, and asks again when it is answered, or has not been for 200 ms. "
        "More clients would ask more of the server's receive buffer than the system gives it by default.",
        # Without Python's forks: 64 of them at a time take longer than the time after which a datagram counts as lost.
        ("netserve", "netserve_inline", "netserve_thread", "netserve_fork", "floor", "asio_pool", "asio_one", "go",
         "python_threading"),
        network="udp",
    ),
    Scenario(
        "udp-large", "Datagrams of 8,000 bytes",
        "UDP, 8 clients. The default receive buffer has space for a dozen such datagrams.",
        ("netserve", "netserve_inline", "floor", "asio_one", "go"),
        network="udp", connections=8, size=8000, quick_too=("asio_one",),
    ),
    Scenario(
        "unix-64", "64 persistent connections of a Unix socket",
        "64-byte messages. Each connection has one request in progress at a time.",
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
SCENARIOS = {scenario.name: scenario for scenario in _LISTED}
