"""The time to compile the ten-line server, with the same commands as in the build."""

import json
import pathlib
import re
import resource
import shlex
import subprocess
import tempfile

from measuring import Failure

SOURCES = {"netserve": "ten_lines/netserve.cpp", "asio_pool": "ten_lines/asio.cpp"}
_interfaces_once = {}


def _seconds(command, directory):
    """Returns seconds of processor time, to which other programs on the machine do not add."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise Failure(f"{shlex.join(command)}: {done.stderr.strip()[:300]}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _without_outputs(command):
    words = iter(shlex.split(command))
    kept = []
    for word in words:
        if word in ("-o", "-MF", "-MT"):
            next(words)
        elif word not in ("-c", "-MD"):
            kept.append(word)
    return kept


def _is_interface(entry):
    path = pathlib.Path(entry["directory"], entry["file"])
    return path.suffix == ".cppm" and re.search("^export module", path.read_text(), re.MULTILINE)


def _interfaces(entries, scratch):
    """Returns the time to compile the interface units, which a consumer does once."""
    if "seconds" not in _interfaces_once:
        _interfaces_once["seconds"] = sum(
            _seconds(
                # Later arguments win, so nothing of the build is overwritten.
                [*_without_outputs(entry["command"]), "-O0", "-c", "-o", f"{scratch}/unit.o", f"-fmodule-output={scratch}/unit.pcm"],
                entry["directory"],
            )
            for entry in entries if _is_interface(entry) and "netserve-library.dir" in entry["command"]
        )
    return _interfaces_once["seconds"]


def measure(name, programs, root):
    database = programs.parent / "compile_commands.json"
    if not database.exists():
        raise Failure(f"{database} is not there")
    entries = json.loads(database.read_text())
    source = str(root / "bench" / SOURCES[name])
    entry = next((entry for entry in entries if entry["file"] == source), None)
    if entry is None:
        raise Failure(f"{database} does not have {source}")
    command = _without_outputs(entry["command"])
    compiler, directory = command[0], entry["directory"]
    unscanned = [word for word in command if not word.startswith("@")]
    scanner = compiler.replace("clang++", "clang-scan-deps")
    with tempfile.TemporaryDirectory() as scratch:
        output = ["-c", "-o", f"{scratch}/out.o"]
        sample = {
            "check": _seconds([*command, "-fsyntax-only"], directory),
            "compile": _seconds([*command, "-O0", *output], directory),
            "optimized": _seconds([*command, *output], directory),
            "scan": _seconds([scanner, "-format=p1689", "--", *unscanned, *output], directory),
        }
        if name == "netserve":
            sample["interfaces"] = _interfaces(entries, scratch)
    return sample
