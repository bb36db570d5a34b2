"""The rounds of a run: which servers take part, and for how long it goes on."""

import fnmatch
import random
import subprocess
import sys
import tempfile
import time

import compiling
import counting
from measuring import Failure, measure_load, measure_redis, measure_serial, measure_start_and_stop
from serving import SERVERS, server_command
from targets import unsettled


def _chosen_servers(scenario, arguments, setup, skipped):
    names = scenario.servers
    if arguments.quick:
        names = [name for name in names if SERVERS[name].quick or name in scenario.quick_too]
    if arguments.only:
        names = [name for name in names if fnmatch.fnmatch(name, arguments.only)]
    present = []
    for name in names:
        try:
            server_command(SERVERS[name], scenario, setup)
            present.append(name)
        except FileNotFoundError as missing:
            skipped[name] = f"{missing} is not there"
        except NotImplementedError as why:
            skipped[name] = f"{scenario.name}: {why}"
    return present


class Rounds:
    """All measurements. Every server serves every scenario once in each of `rounds` rounds. Then the rounds go on with
    the servers of targets that are not settled, until all are settled, or there were `most` rounds, or the next one
    would end later than `minutes` after the start."""

    def __init__(self, scenarios, arguments, setup, rounds, most, seconds, warm_up):
        self.setup, self.rounds, self.most = setup, rounds, max(rounds, most)
        self.seconds, self.warm_up = seconds, warm_up
        self.end = time.monotonic() + arguments.minutes * 60
        self.skipped = {}
        self.servers = [(s, _chosen_servers(s, arguments, setup, self.skipped)) for s in scenarios]
        if not any(names for _, names in self.servers):
            sys.exit(f"bench: nothing to measure; is {setup.programs} built? Missing: {', '.join(self.skipped) or 'nothing'}")

    def run(self, results):
        """Runs the rounds, and returns why they ended."""
        spent = 0.0
        for number in range(self.most):
            steps = self._steps(number, results)
            if not steps:
                return "settled"
            if number >= self.rounds and time.monotonic() + spent > self.end:
                return "time"
            began = time.monotonic()
            for done, (scenario, name) in enumerate(steps):
                elapsed = time.monotonic() - began
                left = elapsed / done * (len(steps) - done) if done else len(steps) * (self.seconds + self.warm_up + 0.3)
                print(
                    f"[round {number + 1} of {self.rounds if number < self.rounds else f'at most {self.most}'}, {100 * done // len(steps):3} %, "
                    f"{int(left) // 60} min {int(left) % 60:2} s left] {scenario.name}: {name} ... ",
                    end="", file=sys.stderr, flush=True,
                )
                self._step(number, scenario, name, results)
            spent = time.monotonic() - began
        return "rounds"

    def _steps(self, number, results):
        """Returns the (scenario, server) pairs that a round measures. The servers are shuffled in each round, the same way in
        each run, so that none always runs after the same neighbour."""
        again = unsettled(results) if number >= self.rounds else None
        steps = []
        for scenario, names in self.servers:
            if scenario.most_rounds and number >= scenario.most_rounds:
                continue
            if again is not None:
                names = [name for name in names if (scenario.name, name) in again]
            steps += [(scenario, name) for name in random.Random(f"{number} {scenario.name}").sample(names, len(names))]
        return steps

    def _step(self, number, scenario, name, results):
        try:
            sample = self._measure(scenario, name)
            results.add(scenario.name, name, number, sample)
            print(scenario.in_short(sample), file=sys.stderr)
        except (Failure, OSError, ValueError, subprocess.SubprocessError) as failure:
            results.fail(scenario.name, name, str(failure))
            print(f"failed: {failure}", file=sys.stderr)

    def _measure(self, scenario, name):
        setup, server = self.setup, SERVERS[name]
        if scenario.kind == "compile":
            return compiling.measure(name, setup.programs, setup.root)
        with tempfile.TemporaryDirectory(prefix="netserve-bench-") as directory:
            command = server_command(server, scenario, setup, f"{directory}/socket")
            if scenario.kind == "start":
                return measure_start_and_stop(command)
            if scenario.kind == "redis":
                return measure_redis(command)
            load = setup.programs / "load"
            if scenario.kind == "serial":
                return measure_serial(command, scenario, load, self.seconds)
            if scenario.kind == "quiet":
                return counting.measure_quiet(command, scenario, load, directory)
            if scenario.kind == "count":
                return counting.measure(command, server, scenario, load, directory)
            return measure_load(command, server, scenario, load, scenario.seconds or self.seconds, self.warm_up)
