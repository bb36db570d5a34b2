"""What netserve set out to reach, held against the figures of a run."""

import dataclasses

from results import ENOUGH, Estimate
from serving import ASIO, PEERS

OURS = "netserve"
KIBIBYTE = 1024


@dataclasses.dataclass(frozen=True)
class Claim:
    target: str
    what: str
    estimate: Estimate | None
    bound: float
    at_least: bool = False
    unit: str = ""

    def wanted(self):
        return f"{'at least' if self.at_least else 'at most'} {self.bound:g}{self.unit}"

    def measured(self):
        if self.estimate is None:
            return "–"
        e = self.estimate
        digits = 0 if self.bound >= 100 else 3
        return f"{e.median:.{digits}f} [{e.low:.{digits}f}, {e.high:.{digits}f}]{self.unit}"

    def verdict(self):
        """Met if the interval reaches the bound, as the page says; and it is said if that is all it does."""
        if self.estimate is None:
            return "not measured"
        near, far = (self.estimate.high, self.estimate.low) if self.at_least else (self.estimate.low, self.estimate.high)
        within = (lambda value: value >= self.bound) if self.at_least else (lambda value: value <= self.bound)
        verdict = "**missed**" if not within(near) else "met" if within(far) else "met, at the edge"
        return verdict if self.estimate.rounds >= ENOUGH else f"{verdict} (too few rounds)"


def claims(results):
    def named(server):
        return f" ({server})" if server else ""

    def ratio(metric, scenario, other, other_scenario=None):
        return results.ratio(metric, (scenario, OURS), (other_scenario or scenario, other)) if other else None

    listed = []
    for scenario, title in (("persistent-64", "64 connections"), ("persistent-1000", "1,000 connections")):
        best = results.best(scenario, PEERS, "requests_per_second")
        listed += [
            Claim("1", f"{title}: requests a second, to the best of Asio, POCO and Go{named(best)}",
                  ratio("requests_per_second", scenario, best), 1, at_least=True),
            Claim("1", f"{title}: CPU per request, to the floor", ratio("cpu", scenario, "floor"), 1.10),
        ]
    asio = results.best("short", ASIO, "requests_per_second")
    quick_asio = results.best("persistent-64", ASIO, "p99", largest=False)
    listed += [
        Claim("2", f"Short connections: requests a second, to Asio{named(asio)}",
              ratio("requests_per_second", "short", asio), 1, at_least=True),
        Claim("2", "Short connections: CPU per request, to the floor", ratio("cpu", "short", "floor"), 1.25),
        Claim("3", "5,000 idle connections: CPU per request, to that with none", ratio("cpu", "idle-5000", OURS, "idle-0"), 1.10),
        Claim("3", "Memory of each of 5,000 idle connections", results.estimate("idle-5000", OURS, "memory"), KIBIBYTE, unit=" bytes"),
        Claim("4", "Sleeping handlers, 64 workers: requests a second, to 64 threads in C",
              ratio("requests_per_second", "blocking", "threads"), 0.98, at_least=True),
        Claim("5", f"64 connections: p99, to Asio{named(quick_asio)}", ratio("p99", "persistent-64", quick_asio), 1),
        Claim("6", "Compiling the ten-line server (-O0), to the same with Asio", ratio("compile", "compile", "asio_pool"), 0.1),
        Claim("7", "10,000 idle connections: CPU per request, to that with none", ratio("cpu", "idle-10000", OURS, "idle-0"), 1.10),
    ]
    return listed
