"""The figures of a run, and their statistics."""

import dataclasses
import math
import statistics

ENOUGH = 6  # rounds; with fewer, not even the extremes enclose the median with 95 % confidence


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A median, and the interval that encloses it with at least 95 % confidence if there are enough rounds."""

    median: float
    low: float
    high: float
    rounds: int

    @staticmethod
    def of(values):
        """Estimates by order statistics (the sign test), which assumes nothing about the distribution of the values."""
        values = sorted(values)
        count = len(values)
        outside, tail = 0, 0.0
        while True:
            tail += math.comb(count, outside) / 2**count
            if 2 * tail > 0.05:
                break
            outside += 1
        outside = max(outside - 1, 0)
        return Estimate(statistics.median(values), values[outside], values[count - 1 - outside], count)


class Results:
    def __init__(self):
        self.samples = {}  # scenario -> server -> round -> metric -> figure
        self.failures = {}  # scenario -> server -> why, the last time

    @staticmethod
    def of(kept):
        results = Results()
        results.failures = kept["failures"]
        for scenario, server, round_number, sample in kept["samples"]:
            results.add(scenario, server, round_number, sample)
        return results

    def kept(self):
        samples = [
            (scenario, server, round_number, sample)
            for scenario, servers in self.samples.items()
            for server, rounds in servers.items()
            for round_number, sample in rounds.items()
        ]
        return {"samples": samples, "failures": self.failures}

    def add(self, scenario, server, round_number, sample):
        self.samples.setdefault(scenario, {}).setdefault(server, {})[round_number] = sample

    def fail(self, scenario, server, why):
        self.failures.setdefault(scenario, {})[server] = why

    def servers(self, scenario):
        return list(self.samples.get(scenario, {}))

    def by_round(self, scenario, server, metric):
        rounds = self.samples.get(scenario, {}).get(server, {})
        return {number: sample[metric] for number, sample in rounds.items() if sample.get(metric) is not None}

    def estimate(self, scenario, server, metric):
        values = self.by_round(scenario, server, metric)
        return Estimate.of(values.values()) if values else None

    def median(self, scenario, server, metric):
        estimate = self.estimate(scenario, server, metric)
        return estimate.median if estimate else None

    def ratio(self, metric, dividend, divisor):
        """Returns the ratio of two (scenario, server), from the ratio of each round: a disturbance of the machine in a
        round has affected both."""
        above = self.by_round(*dividend, metric)
        below = self.by_round(*divisor, metric)
        ratios = [above[number] / below[number] for number in above if below.get(number)]
        return Estimate.of(ratios) if ratios else None

    def best(self, scenario, servers, metric, largest=True):
        """Returns the server with the best median, or None."""
        measured = [server for server in servers if self.median(scenario, server, metric) is not None]
        pick = max if largest else min
        return pick(measured, key=lambda server: self.median(scenario, server, metric), default=None)
