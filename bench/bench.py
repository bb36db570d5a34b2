#!/usr/bin/env python3
"""Measures servers side by side and writes docs/benchmarks.md: see --help, and ./run bench."""

import argparse
import json
import os
import pathlib
import sys

import machine
import report
from measuring import calibrate
from results import ENOUGH, Results
from rounds import Rounds
from scenarios import SCENARIOS
from serving import SERVERS, Setup
from targets import WIDTH

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROUNDS, MOST_ROUNDS, SECONDS, WARM_UP = ENOUGH, 15, 0.4, 0.2
QUICK_ROUNDS, QUICK_SECONDS = 3, 0.4
MINUTES = 38

EPILOG = """\
A commit and the one before it, in the same run:

  git worktree add ../before HEAD~1
  cmake -S ../before --preset release -DNETSERVE_BUILD_BENCH=ON
  cmake --build ../before/build/release --target bench
  ./run bench --beside ../before/build/release

NETSERVE_BENCH_DEMO=PATH measures that demo server (netserve echo) in place of bench/netserve.
"""


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="./run bench",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures servers side by side, over TCP, UDP and Unix sockets, with handlers that echo, compute and sleep, in several rounds.\n"
        f"A complete run writes docs/benchmarks.md; one with --quick, --only, --scenario or fewer than {ENOUGH} rounds writes\n"
        "the same page beside the programs that it measured.",
        epilog=EPILOG,
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds, and few servers")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"how many rounds of everything [{ROUNDS}]")
    parser.add_argument("--most-rounds", type=int, metavar="N", help="how many rounds at most of what a target needs, if the interval of its ratio "
                        f"is not within {WIDTH:.0%} of its median [{MOST_ROUNDS}, or those of --rounds or --quick]".replace("%", "%%"))
    parser.add_argument("--minutes", type=float, metavar="M", default=MINUTES, help=f"no round more begins that would end later [{MINUTES}]")
    parser.add_argument("--seconds", type=float, metavar="S", help=f"of each measurement [{SECONDS:g}]")
    parser.add_argument("--only", metavar="PATTERN", help="servers whose name matches, such as 'asio*'; of: " + ", ".join(SERVERS))
    parser.add_argument("--scenario", metavar="NAME", help="scenarios whose name begins so; of: " + ", ".join(SCENARIOS))
    parser.add_argument("--beside", type=pathlib.Path, metavar="DIRECTORY", help="a Release build of another commit, whose bench/netserve is measured "
                        "as netserve_before: see below")
    parser.add_argument("--programs", type=pathlib.Path, metavar="DIRECTORY", default=ROOT / "build/release/bench", help="where they were built")
    parser.add_argument("--output", type=pathlib.Path, metavar="DIRECTORY", help="where to write benchmarks.md")
    parser.add_argument("--again", action="store_true", help="write the page again from the figures of the last run")
    return parser.parse_args()


def chosen_scenarios(arguments):
    chosen = [s for s in SCENARIOS.values() if s.name.startswith(arguments.scenario or "")]
    if not chosen:
        sys.exit(f"bench: no scenario begins with {arguments.scenario!r}; there are: {', '.join(SCENARIOS)}")
    return chosen


def measured_anew(arguments, rounds):
    """Measures, and returns the results and the facts about the run."""
    scenarios = chosen_scenarios(arguments)
    if not (arguments.programs / "load").exists() and any(s.kind not in ("start", "compile") for s in scenarios):
        sys.exit(f"bench: {arguments.programs} has no load generator; ./run bench builds it there")
    if arguments.beside and not any((arguments.beside / name).is_file() for name in ("bench/netserve", "netserve")):
        sys.exit(f"bench: {arguments.beside} has no bench/netserve; --help tells how to build it")
    seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else SECONDS)
    most = arguments.most_rounds or (rounds if arguments.rounds or arguments.quick else MOST_ROUNDS)
    loops = calibrate(arguments.programs) if any(s.compute for s in scenarios) else {}
    setup = Setup(ROOT, arguments.programs, arguments.beside, loops)
    plan = Rounds(scenarios, arguments, setup, rounds, most, seconds, WARM_UP)
    for server, why in plan.skipped.items():
        print(f"bench: {server} is left out: {why}", file=sys.stderr)
    facts = machine.describe(ROOT, arguments.beside) | {
        "command": " ".join(["./run bench", *(machine.relative(word, ROOT) for word in sys.argv[1:])]),
        "rounds": rounds, "most_rounds": plan.most, "minutes": arguments.minutes, "seconds": seconds, "warm_up": WARM_UP,
        "skipped": plan.skipped, "demo": "NETSERVE_BENCH_DEMO" in os.environ, "loops": loops,
        "commands": machine.commands(scenarios, setup),
    }
    results = Results()
    facts["ended"] = plan.run(results)
    return results, facts


def main():
    arguments = parse_arguments()
    record = arguments.programs / "measured.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    if arguments.again:
        if not record.exists():
            sys.exit(f"bench: {record} is not there: no run has been completed")
        kept = json.loads(record.read_text())
        results, facts, complete = Results.of(kept["results"]), kept["facts"], kept["complete"]
    else:
        rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
        results, facts = measured_anew(arguments, rounds)
        complete = not (arguments.quick or arguments.only or arguments.scenario or facts["demo"]) and rounds >= ENOUGH
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
