#!/usr/bin/env python3
"""Runs the section "Ways in" of README.md: each way as it is printed, from an empty directory.

    tests/ways_in.py             all ways
    tests/ways_in.py NAME...     those whose title contains one of the names, whatever its case
    tests/ways_in.py --check     nothing, but fails if a way is printed so that it could not be run

A way is a ### of that section: its block of sh, the CMakeLists.txt that it shows or else that of "A server", and the
main.cpp of "A server". The last line of the shell starts the server; it is tried in a network of its own, so its port is
free. Sources are the committed ones and what was changed since, as a branch main. Needs root, for namespaces.
Where vcpkg or conan is not installed, tests/packaging/stand-ins/ has a program in its place, and the table says so.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HERE = ROOT / "build/ways-in"
STAND_INS = ROOT / "tests/packaging/stand-ins"
LONGEST = 1200  # seconds for a way

# What else must hold where a way has been gone; the words are in the titles.
CHECKS = {
    "Debug beside Release": "ninja -C build -t commands hello | grep -q 'lib/libnetserve-debug\\.a'",
    "A shared library": "readelf --dynamic build/hello | grep -q 'NEEDED.*libnetserve\\.so\\.[0-9]'",
    "Debian packages": "netserve --version && ninja -C build -t commands hello | grep -q '/usr/lib/.*/libnetserve\\.a'",
    "For arm64": "readelf --file-header build/hello | grep -q AArch64",
}
# These change the machine, so they are gone on a copy of it that is thrown away.
ON_A_COPY = {"Debian packages"}

TRY = r"""
{check}
serve() {{ {server}; }}
export -f serve
unshare --net --pid --fork --kill-child -- bash -euc '
  ip link set lo up
  serve & server=$!
  until exec 3<>/dev/tcp/127.0.0.1/9999; do kill -0 $server; sleep 0.1; done 2>/dev/null
  echo hello >&3
  read -r -t 20 line <&3
  [[ $line == hello ]]'
"""

COPY = r"""
mkdir -p "$COPIED"
mount -t tmpfs tmpfs "$COPIED"
mkdir "$COPIED"/upper "$COPIED"/work "$COPIED"/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$COPIED/upper,workdir=$COPIED/work" "$COPIED/root"
for directory in /proc /dev /sys "$WAYS"; do mount --rbind "$directory" "$COPIED/root$directory"; done
exec chroot "$COPIED/root" bash -c 'cd "$0" && exec bash "$1"' "$PWD" "$1"
"""


class Failure(Exception):
    pass


def section(text, title, mark):
    """The text below a heading, up to the next of its level or of a higher one."""
    match = re.search(rf"^{mark} {re.escape(title)}\n(.*?)(?=^#{{2,{len(mark)}}} |\Z)", text, re.M | re.S)
    if not match:
        raise Failure(f'README.md has no section "{title}"')
    return match.group(1)


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def one_block(text, language, where):
    found = blocks(text, language)
    if len(found) != 1:
        raise Failure(f"{where} has {len(found)} blocks of {language}, and one is wanted")
    return found[0]


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, **options)


def clone():
    """A clone of the repository as it is now, on a branch main."""
    run("rm", "-rf", str(HERE))
    HERE.mkdir(parents=True)
    git = ["git", "-C", str(ROOT)]
    author = ["-c", "user.name=ways-in", "-c", "user.email="]
    changed = run(*git, *author, "stash", "create", stdout=subprocess.PIPE).stdout.strip()
    if new := run(*git, "ls-files", "--others", "--exclude-standard", stdout=subprocess.PIPE).stdout.split():
        raise Failure("these files are not known to git: " + " ".join(new))
    run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(HERE / "origin"))
    run(*git, "push", "--quiet", str(HERE / "origin"), f"{changed or 'HEAD'}:refs/heads/main")
    run("git", "clone", "--quiet", str(HERE / "origin"), str(HERE / "netserve"))
    return HERE / "netserve"


def installed(program):
    return subprocess.run(["sh", "-c", 'command -v "$0" >/dev/null', program]).returncode == 0


def stand_ins(lines):
    """The programs of these lines that have a stand-in and are not installed."""
    return [program.name for program in sorted(STAND_INS.iterdir())
            if re.search(rf"^{program.name} ", lines, re.M) and not installed(program.name)]


def parts(title, way, server_section):
    """What a way has: main.cpp, CMakeLists.txt, the lines before the last, and the last, which starts the server."""
    own = blocks(way, "cmake")
    lists = own[0] if len(own) == 1 else one_block(server_section if not own else way, "cmake", f'"{title}"')
    *before, server = one_block(way, "sh", f'"{title}"').strip().split("\n")
    if not before or not server.endswith("build/hello"):
        raise Failure(f'the last line of "{title}" does not start build/hello')
    return one_block(server_section, "cpp", '"A server"'), lists, before, server


def go(title, way, readme, source):
    """Goes a way; returns remarks about it."""
    program, lists, before, server = parts(title, way, section(readme, "A server", "##"))
    directory = HERE / re.sub(r"\W+", "-", title.lower())
    home = directory / "home"
    work = directory / "work"
    home.mkdir(parents=True)
    work.mkdir()
    (work / "main.cpp").write_text(program)
    (work / "CMakeLists.txt").write_text(lists)
    script = directory / "script"
    script.write_text("set -euxo pipefail\n" + "\n".join(before) + "\n" + TRY.format(
        check=CHECKS.get(title, ""), server=server))

    environment = {name: os.environ[name] for name in ("PATH", "LANG", "TERM", "VCPKG_ROOT") if name in os.environ}
    environment |= {"HOME": str(home), "NETSERVE": str(source), "WAYS": str(HERE), "COPIED": str(directory / "copy")}
    replaced = stand_ins("\n".join(before))
    if replaced:
        environment["PATH"] += f":{STAND_INS}"
        environment["VCPKG_ROOT"] = str(home / "vcpkg")
    command = ["bash", str(script)]
    if title in ON_A_COPY:
        (directory / "copy.sh").write_text("set -euo pipefail\n" + COPY)
        command = ["unshare", "--mount", "bash", str(directory / "copy.sh"), str(script)]
    with open(directory / "log", "w") as log:
        try:
            subprocess.run(command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                           check=True, timeout=LONGEST)
        except subprocess.TimeoutExpired:
            raise Failure(f"not done after {LONGEST} s: {log.name}") from None
        except subprocess.CalledProcessError:
            print(*open(log.name).read().splitlines()[-30:], sep="\n", file=sys.stderr)
            raise Failure(f"the log is {log.name}") from None
    return f"with a stand-in for {' and '.join(replaced)}" if replaced else ""


def main():
    wanted = [name.lower() for name in sys.argv[1:]]
    readme = (ROOT / "README.md").read_text()
    text = section(readme, "Ways in", "##")
    titles = re.findall(r"^### (.*)$", text, re.M)
    if unknown := (set(CHECKS) | ON_A_COPY) - set(titles):
        raise Failure(f"README.md has no such way: {', '.join(sorted(unknown))}")
    if wanted == ["--check"]:
        for title in titles:
            parts(title, section(text, title, "###"), section(readme, "A server", "##"))
        print(f"{len(titles)} ways in")
        return 0
    if wrong := [name for name in wanted if not any(name in title.lower() for title in titles)]:
        raise Failure(f"no way has this in its title: {', '.join(wrong)}")
    source = clone()
    rows = []
    for title in titles:
        if wanted and not any(name in title.lower() for name in wanted):
            rows.append((title, "not asked for", "", ""))
            continue
        print(f"going: {title}", flush=True)
        begin = time.monotonic()
        try:
            result, remark = "passed", go(title, section(text, title, "###"), readme, source)
        except Failure as failure:
            result, remark = "FAILED", str(failure)
        rows.append((title, result, f"{time.monotonic() - begin:.0f}", remark))
    print(f"\n{'way':22}{'result':15}{'seconds':>8}")
    for title, result, seconds, remark in rows:
        print(f"{title:22}{result:15}{seconds:>8}  {remark}".rstrip())
    return 1 if any(row[1] == "FAILED" for row in rows) else 0


try:
    sys.exit(main())
except Failure as failure:
    sys.exit(f"ways_in: {failure}")
