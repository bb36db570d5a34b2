#!/usr/bin/env python3
"""Measures echo servers side by side and writes docs/benchmarks.md: see --help, and ./run bench."""

import argparse
import fnmatch
import json
import os
import pathlib
import random
import sys
import tempfile
import time

import compiling
import machine
import report
from measuring import Failure, calibrate, measure_load, measure_start_and_stop
from results import ENOUGH, Results
from scenarios import SCENARIOS
from serving import SERVERS, Setup, server_command

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROUNDS, SECONDS, WARM_UP = 7, 2.0, 0.5
QUICK_ROUNDS, QUICK_SECONDS, QUICK_WARM_UP = 3, 1.0, 0.3


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="./run bench",
        description="Measures echo servers side by side, over TCP, UDP and Unix sockets, several rounds interleaved. A complete run writes "
        f"docs/benchmarks.md; one with --quick, --only, --scenario or fewer than {ENOUGH} rounds writes the same page "
        "beside the programs that it measured.",
        epilog="NETSERVE_BENCH_DEMO=PATH measures that demo server (netserve echo) in place of bench/netserve.",
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds of 1 s, and few servers")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"how many rounds [{ROUNDS}]")
    parser.add_argument("--seconds", type=float, metavar="S", help=f"of each measurement [{SECONDS:g}]")
    parser.add_argument("--only", metavar="PATTERN", help="servers whose name matches, such as 'asio*'; of: " + ", ".join(SERVERS))
    parser.add_argument("--scenario", metavar="NAME", help="scenarios whose name begins so; of: " + ", ".join(SCENARIOS))
    parser.add_argument("--programs", type=pathlib.Path, metavar="DIRECTORY", default=ROOT / "build/release/bench", help="where they were built")
    parser.add_argument("--beside", type=pathlib.Path, metavar="DIRECTORY", help="a build of another commit, which is measured as netserve_before")
    parser.add_argument("--output", type=pathlib.Path, metavar="DIRECTORY", help="where to write benchmarks.md")
    parser.add_argument("--again", action="store_true", help="write the page again from the figures of the last run")
    return parser.parse_args()


def chosen_scenarios(arguments):
    chosen = [s for s in SCENARIOS.values() if s.name.startswith(arguments.scenario or "")]
    if not chosen:
        sys.exit(f"bench: no scenario begins with {arguments.scenario!r}; there are: {', '.join(SCENARIOS)}")
    return chosen


def chosen_servers(scenario, arguments, setup, skipped):
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


def plan(scenarios, arguments, setup, rounds):
    """Every measurement in order: (round, scenario, server). The servers are shuffled in each round, the
    same way in each run, so that none always runs after the same neighbour."""
    skipped = {}
    servers = {s.name: chosen_servers(s, arguments, setup, skipped) for s in scenarios}
    if not any(servers.values()):
        sys.exit(f"bench: nothing to measure; is {arguments.programs} built? Missing: {', '.join(skipped) or 'nothing'}")
    steps = []
    for round_number in range(rounds):
        for scenario in scenarios:
            names = servers[scenario.name]
            shuffled = random.Random(f"{round_number} {scenario.name}").sample(names, len(names))
            steps += [(round_number, scenario, name) for name in shuffled]
    return steps, skipped


def measure(step, setup, seconds, warm_up):
    _, scenario, name = step
    if scenario.kind == "compile":
        return compiling.measure(name, setup.programs, ROOT)
    with tempfile.TemporaryDirectory(prefix="netserve-bench-") as directory:
        command = server_command(SERVERS[name], scenario, setup, f"{directory}/socket")
        if scenario.kind == "start":
            return measure_start_and_stop(command)
        return measure_load(command, SERVERS[name], scenario, setup.programs / "load", seconds, warm_up)


def run(steps, setup, rounds, seconds, warm_up, results):
    began = time.monotonic()
    for done, step in enumerate(steps):
        round_number, scenario, name = step
        elapsed = time.monotonic() - began
        left = elapsed / done * (len(steps) - done) if done else len(steps) * (seconds + warm_up + 0.5)
        print(
            f"[{100 * done // len(steps):3} %, {int(left) // 60} min {int(left) % 60:2} s left] "
            f"round {round_number + 1} of {rounds}, {scenario.name}: {name} ... ",
            end="", file=sys.stderr, flush=True,
        )
        try:
            sample = measure(step, setup, seconds, warm_up)
            results.add(scenario.name, name, round_number, sample)
            print(scenario.in_short(sample), file=sys.stderr)
        except (Failure, OSError, ValueError) as failure:
            results.fail(scenario.name, name, str(failure))
            print(f"failed: {failure}", file=sys.stderr)


def main():
    arguments = parse_arguments()
    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
    seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else SECONDS)
    warm_up = QUICK_WARM_UP if arguments.quick else WARM_UP
    demo = "NETSERVE_BENCH_DEMO" in os.environ
    complete = not (arguments.quick or arguments.only or arguments.scenario or demo) and rounds >= ENOUGH
    if not (arguments.programs / "load").exists() and arguments.scenario not in ("start", "compile"):
        sys.exit(f"bench: {arguments.programs} has no load generator; ./run bench builds it there")
    record = arguments.programs / "measured.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    if arguments.again:
        if not record.exists():
            sys.exit(f"bench: {record} is not there: no run has been completed")
        kept = json.loads(record.read_text())
        results, facts, complete = Results.of(kept["results"]), kept["facts"], kept["complete"]
    else:
        scenarios = chosen_scenarios(arguments)
        loops = calibrate(arguments.programs) if any(s.compute for s in scenarios) else {}
        setup = Setup(arguments.programs, arguments.beside, loops)
        steps, skipped = plan(scenarios, arguments, setup, rounds)
        for server, why in skipped.items():
            print(f"bench: {server} is left out: {why}", file=sys.stderr)
        results = Results()
        facts = machine.describe(ROOT) | {
            "command": " ".join(["./run bench", *sys.argv[1:]]),
            "rounds": rounds, "seconds": seconds, "warm_up": warm_up, "skipped": skipped,
            "demo": demo, "loops": loops,
            "commands": machine.commands(scenarios, setup, ROOT),
        }
        run(steps, setup, rounds, seconds, warm_up, results)
        record.write_text(json.dumps({"results": results.kept(), "facts": facts, "complete": complete}))
    output = arguments.output or (ROOT / "docs" if complete else arguments.programs)
    page = report.write(results, facts, output)
    print(report.in_short(results))
    print(f"\nwrote {os.path.relpath(page)}", file=sys.stderr)
    if results.failures:
        sys.exit("bench: some measurements failed; the page says which")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nbench: interrupted; nothing was written")
