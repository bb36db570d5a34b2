"""Handlers that work: our servers, compared with the best peer of each scenario."""

import dataclasses

from results import Estimate
from scenarios import SCENARIOS, WORK_PEERS

METRICS = (("requests/s", "requests_per_second"), ("p50", "p50"), ("p99", "p99"), ("CPU", "cpu"))


@dataclasses.dataclass(frozen=True)
class Comparison:
    scenario: str
    title: str
    ours: str
    peer: str  # the one with the most requests a second
    peers_requests: float
    ratios: dict  # metric -> Estimate, or None


def comparisons(results):
    """Returns the comparisons of all scenarios that were measured, in order."""
    compared = []
    for scenario in SCENARIOS.values():
        peer = results.best(scenario.name, WORK_PEERS, "requests_per_second") if scenario.works else None
        if not peer or scenario.ours not in results.servers(scenario.name):
            continue
        pair = (scenario.name, scenario.ours), (scenario.name, peer)
        ratios: dict[str, Estimate | None] = {metric: results.ratio(metric, *pair) for _, metric in METRICS}
        requests = results.median(scenario.name, peer, "requests_per_second")
        compared.append(Comparison(scenario.name, scenario.title, scenario.ours, peer, requests, ratios))
    return compared
