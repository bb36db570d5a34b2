#!/usr/bin/env python3
"""Runs the recipes of docs/production.md as they are printed there.

A recipe is all blocks that begin with ```sh recipe=NAME, in their order, as one script of bash that
ends at its first error. It runs in namespaces of its own: it has a network with nothing but the
loopback interface, so its ports are free; an empty /run, /usr/local and /etc/systemd/system, so it
changes nothing on this machine; and processes that end with it. It must end them itself, though: one
that is left is an error. The programs of --build come first in its PATH.
"""

import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

root = pathlib.Path(__file__).resolve().parent.parent
page = root / "docs" / "production.md"
empty_directories = ["/run", "/usr/local", "/etc/systemd/system"]


def recipes():
    found = {}
    for name, block in re.findall(r"^```sh recipe=(\S+)\n(.*?)^```$", page.read_text(), re.M | re.S):
        found[name] = found.get(name, "") + block
    return found


def check(found):
    """Returns what is wrong: files that only one of the page and deploy/ knows, recipes that are no script."""
    named = set(re.findall(r"\bdeploy/([\w.@-]*\w)", page.read_text()))
    there = {path.name for path in (root / "deploy").iterdir()}
    faults = [f"deploy/{name} is not in docs/production.md" for name in there - named]
    faults += [f"deploy/{name}, of docs/production.md, does not exist" for name in named - there]
    for name, script in found.items():
        if subprocess.run(["bash", "-n"], input=script.encode()).returncode != 0:
            faults.append(f"recipe {name} is no script")
    print("\n".join(faults) or f"{len(found)} recipes, {len(there)} files", file=sys.stderr if faults else sys.stdout)
    return faults


def left_processes():
    while True:  # those whose parent has ended are ours now
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                break
        except ChildProcessError:
            break
    commands = []
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        if directory.name == "1":
            continue
        try:
            words = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            commands.append(f"{directory.name} {words or (directory / 'comm').read_text().strip()}")
        except OSError:  # it has just ended
            pass
    return commands


def run_inside(name):
    """Runs a recipe as the first process of the namespaces, and returns its exit status."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for directory in empty_directories:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", directory], check=True)
    status = subprocess.run(["bash", "-euo", "pipefail", "-c", recipes()[name]], cwd=root).returncode
    if status != 0:
        return 1
    deadline = time.monotonic() + 2
    while (left := left_processes()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for command in left:
        print(f"recipe {name} left a process: {command}", file=sys.stderr)
    return 1 if left else 0


def run(name, text, options):
    print(f"\n=== {name}\n{text}---", flush=True)
    command = ["unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
    directories = [options.build, options.build / "examples"]
    # /usr/local is empty there, so the interpreter is named.
    command += [os.path.realpath(sys.executable), __file__, "--inside", name]
    path = ":".join([*map(str, directories), os.environ["PATH"], "/usr/sbin", "/sbin"])
    begin = time.monotonic()
    process = subprocess.Popen(command, env=os.environ | {"PATH": path}, stdin=subprocess.DEVNULL)
    try:
        status = process.wait(options.timeout)
        result = "ok" if status == 0 else "FAILED"
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)  # and, by --kill-child, all that it has started
        process.wait()
        status, result = 1, f"FAILED: it did not end in {options.timeout} seconds"
    print(f"=== {name}: {result}, {time.monotonic() - begin:.0f} s", flush=True)
    return status == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes; by default all")
    parser.add_argument("--build", type=pathlib.Path, default=root / "build" / "release", help="where the programs are")
    parser.add_argument("--timeout", type=float, default=60, help="seconds for each [%(default)s]")
    parser.add_argument("--list", action="store_true", help="print the names")
    parser.add_argument("--check", action="store_true", help="check the page and deploy/, and run nothing")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.build = options.build.resolve()
    if options.inside:
        sys.exit(run_inside(options.inside))
    found = recipes()
    if options.list:
        print("\n".join(found))
        return
    if options.check:
        sys.exit(1 if check(found) else 0)
    if os.geteuid() != 0:
        sys.exit("docs/recipes.py: run it as root, which its namespaces need")
    for name in options.names:
        if name not in found:
            sys.exit(f"docs/production.md has no recipe {name}; it has: {', '.join(found)}")
    chosen = options.names or list(found)
    failed = [name for name in chosen if not run(name, found[name], options)]
    print(f"\n{len(chosen) - len(failed)} of {len(chosen)} recipes ran" + (f"; failed: {', '.join(failed)}" if failed else ""))
    sys.exit(1 if failed or not chosen else 0)


main()
