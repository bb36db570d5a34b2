"""The machine, the versions and the commands of a run."""

import datetime
import os
import platform
import re
import shlex
import subprocess

from measuring import REDIS_BENCHMARK
from serving import PYTHON, SERVERS, server_command


def _first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip().partition("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        return ""


def _field(path, pattern):
    try:
        with open(path) as file:
            found = re.search(pattern, file.read(), re.MULTILINE)
            return found[1] if found else ""
    except OSError:
        return ""


def _package(name):
    return _first_line("dpkg-query", "--show", "--showformat", "${Version}", name)


def _version(directory):
    return _first_line("git", "-C", str(directory), "describe", "--always", "--dirty")


def describe(root, beside):
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = _field("/proc/cpuinfo", r"^model name\s*: (.*)") or platform.machine()
    versions = {
        "netserve": _version(root),
        "netserve_before": _version(beside) if beside else "",
        "compiler": _first_line("clang++-19", "--version"),
        "CMake": _first_line("cmake", "--version").removeprefix("cmake version "),
        "C library": _package("libc6"),
        "Asio": _package("libasio-dev"),
        "POCO": _package("libpoco-dev"),
        "libevent": _package("libevent-dev"),
        "Go": _first_line("go", "version").removeprefix("go version "),
        "Redis": _package("redis-tools"),
        "valgrind": _package("valgrind"),
        "Python": _first_line(PYTHON, "--version").removeprefix("Python "),
    }
    return {
        "machine": f"{processor}, {len(os.sched_getaffinity(0))} cores, {gibibytes:.0f} GiB",
        "system": _field("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)'),
        "kernel": platform.release(),
        "date": datetime.date.today().isoformat(),
        "versions": {name: version for name, version in versions.items() if version},
    }


def relative(word, root):
    """Returns an absolute path of the command line as seen from the repository, and other words unchanged."""
    return os.path.relpath(word, root) if word.startswith("/") else word


def commands(scenarios, setup):
    """Returns the command lines of each scenario, as typed in the directory of the repository."""

    def typed(words):
        return shlex.join(os.path.basename(w) if w == PYTHON else relative(w, setup.root) for w in words)

    listed = {}
    for scenario in scenarios:
        if scenario.kind == "compile":
            continue
        lines = {}
        for name in scenario.servers:
            try:
                lines[name] = typed(server_command(SERVERS[name], scenario, setup))
            except (FileNotFoundError, NotImplementedError):
                continue
        load = typed([str(setup.programs / "load"), *scenario.load_arguments("", "PATH" if scenario.network == "unix" else "PORT")]) if scenario.kind in ("load", "serial", "count", "quiet") else ""
        if scenario.kind == "redis":
            load = typed([*REDIS_BENCHMARK, "-p", "PORT"])
        listed[scenario.name] = {"load": load, "servers": lines}
    return listed
