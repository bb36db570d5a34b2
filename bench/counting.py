"""Figures without noise: user instructions and system calls per request, and user instructions in a second without
requests.

A figure for requests is the difference of two runs with different numbers of requests, divided by the difference of
these numbers. So it does not contain the cost of the start, of the connections, and of the end."""

import json
import pathlib
import re
import shutil
import subprocess
import time

from measuring import Failure, Running

FEW, MANY = 4000, 24000  # requests
QUIET = 10  # seconds


def _valgrind(directory):
    # The threads run one at a time, in turn. Without --fair-sched, one that spins may hold up the others.
    return ["valgrind", "--tool=callgrind", "--fair-sched=try", f"--callgrind-out-file={directory}/costs", f"--log-file={directory}/report"]


def _strace(directory):
    # -D: our child, to which we send signals, is the server and not strace.
    return ["strace", "-D", "-c", "-f", "-o", f"{directory}/report"]


def _collected(report):
    found = re.search(r"Collected : (\d+)", report)
    return int(found[1]) if found else None


def _calls(report):
    found = re.search(r"^\s*100\.00\s+\S+\s+(?:\S+\s+)?(\d+)(?:\s+\d+)?\s+total", report, re.MULTILINE)
    return int(found[1]) if found else None


def _count(tool, parse, command, scenario, load, requests, directory):
    report = pathlib.Path(directory, "report")
    report.unlink(missing_ok=True)
    with Running([*tool(directory), *command]) as running:
        asked = subprocess.run(
            [load, *scenario.load_arguments("", running.address), "--requests", str(requests), "--warm-up", "0"],
            capture_output=True, text=True, timeout=180,
        )
        if asked.returncode != 0:
            raise Failure(asked.stderr.strip())
        running.stop()
        for _ in range(500):  # strace writes after the server has ended
            if report.exists() and (counted := parse(report.read_text())) is not None:
                return counted
            time.sleep(0.01)
    raise Failure(f"{tool('')[0]} did not say what it counted")


def measure(command, server, scenario, load, directory):
    tools = {"system_calls": (_strace, _calls)}
    if server.name != "go":  # valgrind cannot run it
        tools["instructions"] = (_valgrind, _collected)
    sample = {}
    for metric, (tool, parse) in tools.items():
        if shutil.which(tool("")[0]):
            few, many = (_count(tool, parse, command, scenario, load, n, directory) for n in (FEW, MANY))
            sample[metric] = (many - few) / (MANY - FEW)
    if not sample:
        raise Failure("neither valgrind nor strace is there")
    return sample


def _dump(running):
    """Makes callgrind write what it has counted since the last time."""
    done = subprocess.run(["callgrind_control", "--dump", str(running.process.pid)], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failure(f"callgrind_control: {done.stderr.strip()}")


def measure_quiet(command, scenario, load, directory):
    """Returns the user instructions of a second in which the connections of the scenario are open and silent."""
    if not shutil.which("callgrind_control"):
        raise Failure("valgrind is not there")
    with Running([*_valgrind(directory), *command]) as running:
        with subprocess.Popen(
            [load, *scenario.load_arguments("", running.address), "--marks"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as asking:
            try:
                while (line := asking.stdout.readline()) and json.loads(line).get("mark") != "idle":
                    asking.stdin.write("\n")
                    asking.stdin.flush()
                if not line:
                    raise Failure("the load program failed")
                time.sleep(2)  # the work that is done once after the last request
                _dump(running)
                time.sleep(QUIET)
                _dump(running)
            finally:
                asking.kill()
        running.kill()
    found = re.search(r"^totals: (\d+)", pathlib.Path(directory, "costs.2").read_text(), re.MULTILINE)
    return {"quiet_instructions": int(found[1]) / QUIET}
