"""The targets of netserve, compared with the figures of a run."""

import dataclasses

from results import ENOUGH, Estimate
from scenarios import SCENARIOS
from serving import ASIO, PEERS
from working import comparisons

KIBIBYTE = 1024
WIDTH = 0.07  # of an interval, to each side of its median


@dataclasses.dataclass(frozen=True)
class Claim:
    target: str
    what: str
    estimate: Estimate | None
    bound: float
    at_least: bool = False
    unit: str = ""
    uses: tuple = ()  # (scenario, server) that are measured again until the target is settled
    enough: int = ENOUGH  # rounds

    def wanted(self):
        return f"{'at least' if self.at_least else 'at most'} {self.bound:g}{self.unit}"

    def measured(self):
        if self.estimate is None:
            return "–"
        e = self.estimate
        digits = 0 if self.bound >= 100 else 3
        return f"{e.median:.{digits}f} [{e.low:.{digits}f}, {e.high:.{digits}f}]{self.unit}"

    def verdict(self):
        """Returns the verdict: met if the interval reaches the bound, with a note if only a part of it does."""
        if self.estimate is None:
            return "not measured"
        near, far = (self.estimate.high, self.estimate.low) if self.at_least else (self.estimate.low, self.estimate.high)
        within = (lambda value: value >= self.bound) if self.at_least else (lambda value: value <= self.bound)
        verdict = "**missed**" if not within(near) else "met" if within(far) else "met, at the edge"
        return verdict if self.estimate.rounds >= self.enough else f"{verdict} (too few rounds)"

    def settled(self):
        """Returns whether the interval is narrow. A target that is not settled is measured again only if it is a ratio."""
        e = self.estimate
        return e is not None and e.rounds >= self.enough and e.high - e.median <= WIDTH * e.median and e.median - e.low <= WIDTH * e.median

    def rounds(self):
        if self.estimate is None:
            return "–"
        return f"{self.estimate.rounds}" + (", not settled" if self.uses and not self.settled() else "")


class _Claims:
    def __init__(self, results):
        self.results, self.listed = results, []

    def ratio(self, target, what, metric, bound, at_least, ours, other, named=False, enough=ENOUGH):
        """Adds a claim about the ratio of two (scenario, server); `named` adds the name of the other one to the text."""
        known = other[1] is not None
        estimate = self.results.ratio(metric, ours, other) if known else None
        name = f" ({other[1]})" if named and known else ""
        self.listed.append(Claim(target, what + name, estimate, bound, at_least, uses=(ours, other) if known else (), enough=enough))

    def figure(self, target, what, metric, bound, scenario, server, unit="", enough=ENOUGH):
        self.listed.append(Claim(target, what, self.results.estimate(scenario, server, metric), bound, unit=unit, enough=enough))


def _echoes(claims):
    results = claims.results
    for scenario, title in (("persistent-64", "64 connections"), ("persistent-1000", "1,000 connections")):
        best = results.best(scenario, PEERS, "requests_per_second")
        ours = (scenario, "netserve")
        claims.ratio("1", f"{title}: requests a second, to the best of Asio, POCO and Go", "requests_per_second", 1, True, ours, (scenario, best), True)
        claims.ratio("1", f"{title}: CPU per request, to the floor", "cpu", 1.10, False, ours, (scenario, "floor"))
    asio = results.best("short", ASIO, "requests_per_second")
    quick_asio = results.best("persistent-64", ASIO, "p99", largest=False)
    short, idle = ("short", "netserve"), ("idle-0", "netserve")
    claims.ratio("2", "Short connections: requests a second, to Asio", "requests_per_second", 1, True, short, ("short", asio), True)
    claims.ratio("2", "Short connections: CPU per request, to the floor", "cpu", 1.25, False, short, ("short", "floor"))
    claims.ratio("3", "5,000 idle connections: CPU per request, to that with none", "cpu", 1.10, False, ("idle-5000", "netserve"), idle)
    claims.figure("3", "Memory of each of 5,000 idle connections", "memory", KIBIBYTE, "idle-5000", "netserve", " bytes")
    claims.ratio("4", "Sleeping handlers, 64 workers: requests a second, to 64 threads in C", "requests_per_second", 0.98, True,
                 ("blocking", "netserve"), ("blocking", "threads"))
    claims.ratio("5", "64 connections: p99, to Asio", "p99", 1, False, ("persistent-64", "netserve"), ("persistent-64", quick_asio), True)
    claims.ratio("6", "Compiling the ten-line server (-O0), to the same with Asio", "compile", 0.1, False,
                 ("compile", "netserve"), ("compile", "asio_pool"))
    claims.ratio("7", "10,000 idle connections: CPU per request, to that with none", "cpu", 1.10, False, ("idle-10000", "netserve"), idle)


def _workers(claims):
    for c in comparisons(claims.results):
        ours, peer = (c.scenario, c.ours), (c.scenario, c.peer)
        many = SCENARIOS[c.scenario].connections > 64
        claims.ratio("8", f"{c.title}: requests a second, to the best peer", "requests_per_second", 0.90 if many else 0.95, True, ours, peer, True)
        if not many:
            claims.ratio("8", f"{c.title}: p50, to that peer", "p50", 1.15, False, ours, peer)
            claims.ratio("8", f"{c.title}: p99, to that peer", "p99", 1.15, False, ours, peer)


def _before(claims):
    for scenario in SCENARIOS.values():
        if "netserve_before" in claims.results.servers(scenario.name):
            ours, before = (scenario.name, "netserve"), (scenario.name, "netserve_before")
            claims.ratio("9", f"{scenario.title}: requests a second, to the commit before", "requests_per_second", 0.97, True, ours, before)
            claims.ratio("9", f"{scenario.title}: CPU per request, to the commit before", "cpu", 1.03, False, ours, before)


def _others(claims):
    claims.figure("10", "Handlers that change: worst p99 of 20 ms, but the first of each change", "worst_p99", 5000, "regime", "netserve_64", " µs", enough=3)
    claims.figure("11", "Seven of eight workers held: p99 of the short requests", "p99", 1000, "held", "netserve_8", " µs")
    claims.ratio("12", "Pipelines of 16: requests a second, to a handler with a loop by hand", "requests_per_second", 0.9, True,
                 ("pipeline", "netserve"), ("pipeline", "netserve_loop"))
    for command in ("ping", "set", "get"):
        claims.ratio("12", f"redis-benchmark -P 16 -c 50: {command.upper()}, to Redis", command, 0.8, True, ("redis", "netserve_redis"), ("redis", "redis"))
    threads = ("persistent-64", "threads")
    claims.ratio("13", "ThreadPerRequest, one request a call, 64 connections: requests a second, to a thread for each connection",
                 "requests_per_second", 0.7, True, ("persistent-64", "netserve_thread"), threads)
    claims.ratio("13", "Conversations, 64 connections: CPU per request, to a thread for each connection", "cpu", 1.10, False,
                 ("persistent-64", "netserve_conversation"), threads)
    claims.figure("13", "Conversations: system calls of a request", "system_calls", 2.01, "count-echo", "netserve_conversation", enough=1)
    claims.figure("14", "Echo: user instructions of a request", "instructions", 700, "count-echo", "netserve", enough=1)
    claims.ratio("15", "A quiet second with 18,000 idle connections: user instructions, to that with 1,000", "quiet_instructions", 1.10, False,
                 ("quiet-18000", "netserve"), ("quiet-1000", "netserve"), enough=1)


def claims(results):
    found = _Claims(results)
    for add in (_echoes, _workers, _before, _others):
        add(found)
    return found.listed


def unsettled(results):
    """Returns the (scenario, server) of ratios that are not settled."""
    return {pair for claim in claims(results) if claim.estimate and not claim.settled() for pair in claim.uses}
