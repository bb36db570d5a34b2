#!/usr/bin/env python3
"""Follows docs/tutorial.md and docs/how-to.md as a reader does, each in an empty directory.

What follows the language of a block says what happens to it, in the order of the page:

    ```cpp file=NAME     is written to the file NAME
    ```cpp program=NAME  is written to NAME.cpp; all programs of a page are built before its first command
    ```cpp snippet       is the body of a function that compiles, after what snippets_begin declares
    ```sh run            runs in bash, which ends at the first error; needs=PROGRAM,... skips it without them
    ```text output       is what the command before it prints; a … stands for any text

$HOME/netserve is an installation of --build. The pages run in a network of their own, where every port
is free, and no process that they start outlives them. The first program of the tutorial must be the README's.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time

docs = pathlib.Path(__file__).resolve().parent
empty_directories = ["/opt", "/etc/systemd/system"]  # the pages install there
snippets_begin = """// Written by docs/tutorial_check.py.
#include <cctype>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

import net.monitor;
import net.server;

[[maybe_unused]] static const net::Address address("127.0.0.1", 0);
struct Echo : net::StreamRequestHandler {
  net::Next handle() {
    wfile.write(rfile.read_some());
    return net::Next::keep;
  }
};
"""


def blocks(page):
    """Returns language, marks and text of each block; one in a list is indented."""
    found = re.findall(r"^( *)```(\w+)([^\n]*)\n(.*?)^ *```$", page.read_text(), re.M | re.S)
    return [(language, words, textwrap.dedent(text)) for _, language, words, text in found]


def marks(words):
    return dict(word.partition("=")[::2] for word in words.split())


def write_programs(directory, found):
    """Writes the programs and snippets of a page, and what builds them. Returns whether there are any."""
    programs = [marks(words)["program"] for _, words, _ in found if "program" in marks(words)]
    snippets = [text for _, words, text in found if "snippet" in marks(words)]
    for _, words, text in found:
        if "program" in marks(words):
            (directory / f"{marks(words)['program']}.cpp").write_text(text)
    for number, text in enumerate(snippets):
        body = f"{snippets_begin}\nvoid snippet() {{\n{text}}}\n"
        (directory / f"snippet_{number}.cpp").write_text(body)
    if not programs and not snippets:
        return False
    lines = ["cmake_minimum_required(VERSION 3.28)", "project(pages LANGUAGES CXX)"]
    lines += ["find_package(netserve 0.1 CONFIG REQUIRED COMPONENTS monitor)"]
    lines += ["link_libraries(netserve::netserve netserve::monitor)"]
    lines += [f"add_executable({name} {name}.cpp)" for name in programs]
    if snippets:
        lines.append("add_library(snippets OBJECT " + " ".join(f"snippet_{n}.cpp" for n in range(len(snippets))) + ")")
    (directory / "CMakeLists.txt").write_text("\n".join(lines) + "\n")
    return True


def bash(script, directory, home, timeout):
    """Runs a script; returns what it printed to stdout, or ends the check if it failed."""
    # In a file, as what is left in the background would hold a pipe open.
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script], cwd=directory, env=os.environ | {"HOME": str(home)},
            stdin=subprocess.DEVNULL, stdout=printed)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            status = f"none after {timeout:.0f} s"
        printed.seek(0)
        text = printed.read().decode(errors="replace")
    if status != 0:
        sys.exit(f"{script}---\n{text}---\nFAILED: its status is {status}, in {directory}")
    return text


def is_shown(text, shown):
    pattern = ".*".join(map(re.escape, shown.strip().split("…")))
    return re.fullmatch(pattern, text.strip(), re.S) is not None


def follow(page, home, options):
    directory = home / page.stem
    directory.mkdir()
    found = blocks(page)
    if not any("run" in marks(words) for _, words, _ in found):
        sys.exit(f"{page}: no commands")
    if write_programs(directory, found):
        bash("cmake -S . -B build -G Ninja -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_PREFIX_PATH=$HOME/netserve >/dev/null\n"
             "cmake --build build -- -j 2 --quiet\n", directory, home, options.timeout)
    printed = None
    for language, words, text in found:
        marked = marks(words)
        if "file" in marked:
            (directory / marked["file"]).write_text(text)
        elif "run" in marked:
            missing = [name for name in marked.get("needs", "").split(",") if name and not shutil.which(name)]
            begin = time.monotonic()
            printed = None if missing else bash(text, directory, home, options.timeout)
            note = f"SKIPPED, without {', '.join(missing)}" if missing else f"{time.monotonic() - begin:.1f} s"
            print(f"--- {page.name}: {note}\n{text}", end="", flush=True)
        elif "output" in marked and printed is not None:
            if not is_shown(printed, text):
                sys.exit(f"--- shown\n{text}--- printed\n{printed}---\nFAILED: {page.name} shows other output")
            printed = None
    print(f"=== {page.name}: {len(found)} blocks", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", default=["tutorial", "how-to"], help="tutorial, how-to; by default both")
    parser.add_argument("--build", type=pathlib.Path, default=docs.parent / "build" / "dev", help="what is installed")
    parser.add_argument("--timeout", type=float, default=400, help="seconds for each command [%(default)s]")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        namespaces = ["--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
        os.execvp("unshare", ["unshare", *as_root, *namespaces, sys.executable, __file__, "--inside", *sys.argv[1:]])
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    for directory in filter(os.path.isdir, empty_directories):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", directory], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    first = next(text for _, words, text in blocks(docs / "tutorial.md") if marks(words).get("file") == "main.cpp")
    if first not in (docs.parent / "README.md").read_text():
        sys.exit("the first program of docs/tutorial.md is not the server of README.md")
    with tempfile.TemporaryDirectory(prefix="netserve-pages-") as home:
        home = pathlib.Path(home)
        subprocess.run(["cmake", "--install", options.build, "--prefix", home / "netserve"], check=True,
                       stdout=subprocess.DEVNULL)
        for name in options.pages:
            follow(docs / f"{name}.md", home, options)


if __name__ == "__main__":
    main()
