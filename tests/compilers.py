#!/usr/bin/env python3
"""Builds and runs netserve with each compiler, in minimal roots of Debian, and writes the table of docs/compilers.md.

    tests/compilers.py [NAME...]          all, or those: their rows are written anew
    tests/compilers.py --without-tests [NAME...]
    tests/compilers.py --quick [NAME...]  library, demo and consumer, where the root is there already; writes nothing

The roots stay in build/roots, with what was built in them; their packages come from the mirror of this machine's apt
sources. Needs root, and debootstrap.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

TREE = pathlib.Path(__file__).resolve().parent.parent
ROOTS = TREE / "build/roots"
PAGE = TREE / "docs/compilers.md"
BEGIN, END = "<!-- written by tests/compilers.py -->", "<!-- end -->"
COLUMNS = ["library", "demo", "consumer", "tests", "`import std`", "includes first", "imports first"]
QUICK = COLUMNS[:3]
PACKAGES = """ca-certificates ninja-build libmsgsl-dev libboost-dev libboost-test-dev libcli11-dev libspdlog-dev
    systemtap-sdt-dev netcat-openbsd socat python3-minimal strace util-linux iproute2""".split()  # as cmake/setup has it


COMPILERS = {  # the suite, the program, its packages, its flags
    "clang-18": ("trixie", "clang++-18", ["clang-18", "clang-tools-18", "lld-18"], ""),
    "clang-19": ("bookworm", "clang++-19", ["clang-19", "clang-tools-19", "lld-19"], ""),
    "clang-19, libc++": ("trixie", "clang++-19", ["clang-19", "clang-tools-19", "lld-19", "libc++-19-dev", "libc++abi-19-dev"],
                         "-stdlib=libc++"),
    "clang-23": ("unstable", "clang++-23", ["clang-23", "clang-tools-23", "lld-23"], ""),
    "gcc-14": ("trixie", "g++-14", ["g++-14"], ""),
    "gcc-15": ("unstable", "g++-15", ["g++-15"], ""),
    "gcc-16": ("unstable", "g++-16", ["g++-16"], ""),
    "clang-22": ("unstable", "clang++-22", ["clang-22", "clang-tools-22", "lld-22"], ""),
    "clang-21": ("unstable", "clang++-21", ["clang-21", "clang-tools-21", "lld-21"], ""),
}
HEAVY = """algorithm chrono fstream functional iostream map memory ranges regex string thread vector
    boost/asio.hpp boost/beast.hpp""".split()
PROGRAM = """cmake_minimum_required(VERSION 3.28)
project(program LANGUAGES CXX)
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_EXTENSIONS OFF)
find_package(netserve CONFIG REQUIRED)
add_executable(program main.cpp)
target_link_libraries(program PRIVATE netserve::netserve)
if(STD_MODULE)
  cmake_path(GET STD_MODULE PARENT_PATH directory)
  add_library(std_module STATIC)
  target_sources(std_module PUBLIC FILE_SET CXX_MODULES BASE_DIRS ${directory} FILES ${STD_MODULE})
  target_compile_options(std_module PRIVATE -w -pthread)
  target_link_libraries(program PRIVATE std_module)
endif()
enable_testing()
add_test(NAME program COMMAND program)
"""


class Failed(Exception): ...

def run(command, timeout, log):  # in a group of its own, which ends with it; returns what it said
    with open(log, "a+b") as output:
        begin = output.seek(0, os.SEEK_END)
        output.write(f"+ {' '.join(command)}\n".encode())
        output.flush()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"no end within {timeout} s") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        output.seek(begin)
        said = output.read().decode(errors="replace")
    if status != 0:
        refused = re.search(r"CMake Error at .*\(message\):\n((?:  .*\n)+)", said)
        if refused:
            raise Failed("refused: " + " ".join(refused[1].split()))
        lines = [line for line in said.splitlines() if re.search(r"\b(internal compiler |fatal )?[Ee]rror\b[: ]", line)
                 and "Disagreement of the location" not in line]  # of the tests that compile a partition once more; harmless
        raise Failed((lines or said.splitlines())[0 if lines else -1].strip())
    return said


class Root:
    """A minimal Debian. What is mounted for a command goes with it, as the command has a namespace of its own."""
    def __init__(self, suite, name):
        self.suite, self.path, self.log = suite, ROOTS / suite, ROOTS / f"{name}.log"

    def make(self):
        if self.path.exists():
            return
        release = re.search(r"^VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text(), re.M)[1]
        sites = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", f"Codename: {release}"],
                               stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        if not sites or not shutil.which("debootstrap"):
            raise SystemExit("compilers: needs the package debootstrap, and a mirror of Debian in the sources of apt")
        part = self.path.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        run(["unshare", "--mount", "debootstrap", "--variant=minbase", self.suite, str(part), sites[0]], 1200, self.log)
        # A mirror may stand still, on purpose.
        (part / "etc/apt/apt.conf.d/90compilers").write_text('Acquire::Check-Valid-Until "false";\nAPT::Install-Recommends "false";\n')
        if self.suite == "bookworm":  # whose cmake is too old
            (part / "etc/apt/sources.list.d/backports.list").write_text(f"deb {sites[0]} bookworm-backports main\n")
        (part / "src/netserve").mkdir(parents=True)
        part.rename(self.path)

    def shell(self, script, timeout=600):
        for name in ["hosts", "resolv.conf"]:  # not every suite has localhost
            shutil.copy(f"/etc/{name}", self.path / "etc")
        prepare = """cd "$0"; mount --bind "$1" src/netserve; mount -o remount,bind,ro src/netserve
            mountpoint -q proc || mount -t proc proc proc; mountpoint -q dev || mount --rbind /dev dev
            mountpoint -q sys || mount --rbind /sys sys; exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 bash -euc "$2" """
        return run(["unshare", "--mount", "--propagation", "private", "bash", "-euc", prepare, str(self.path), str(TREE), script],
                   timeout, self.log)

    def install(self, packages):
        have = f"dpkg-query --show --showformat '${{db:Status-Status}}\\n' cmake {' '.join(packages)} 2>&1 | grep -vqx installed"
        cmake = "cmake cmake-data" if self.suite != "bookworm" else "cmake/bookworm-backports cmake-data/bookworm-backports"
        self.shell(f"if {have}; then apt-get -qq update; apt-get -qq --yes install {cmake} {' '.join(packages)}; fi", 1800)


def program(root, build, name, text, options=""):
    """Builds a program that uses the installed package, and runs it."""
    folder = root.path / build.lstrip("/") / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text(PROGRAM)
    (folder / "main.cpp").write_text(text)
    root.shell(f"cd {build}/{name}; cmake -G Ninja -S . -B build -DCMAKE_PREFIX_PATH={build}/prefix {options}; "
               "ninja -j2 -C build; ctest --test-dir build --timeout 20", 300)


def steps(root, build, compiler, flags):
    """What is tried, in the order of COLUMNS."""
    options = f"-DCMAKE_CXX_COMPILER={compiler} '-DCMAKE_CXX_FLAGS={flags}'"
    if compiler.startswith("clang"):
        options += " -DCMAKE_LINKER_TYPE=LLD"
    libcxx = "libc++" in flags
    head, body = (TREE / "tests/consumer/main.cpp").read_text().split("import net.server;\n")
    body = re.sub(r".*std::fprintf.*\n", "", body)  # takes a macro
    heavy = "".join(f"#include <{name}>\n" for name in HEAVY)

    def library():
        root.shell(f"cmake -G Ninja -S /src/netserve -B {build} -DCMAKE_BUILD_TYPE=Debug -DNETSERVE_WARNINGS=OFF {options} "
                   f"{'-DNETSERVE_BUILD_DEMO=OFF -DNETSERVE_BUILD_TESTS=OFF' if libcxx else ''}; "
                   f"ninja -j2 -C {build} netserve-library netserve-monitor-library", 900)

    def demo():
        if libcxx:
            raise Failed("not tried: Debian's spdlog is of libstdc++")
        root.shell(f"ninja -j2 -C {build} netserve-demo; rm -f /tmp/echo; {build}/netserve echo --listen unix:/tmp/echo & "
                   "for i in $(seq 6000); do [[ -S /tmp/echo ]] && break; sleep 0.1; done; trap 'kill %1; wait' EXIT; "
                   "[[ $(echo hello | nc -NU -w 5 /tmp/echo) == hello ]]")

    def consumer():
        root.shell(f"cmake --install {build} --prefix {build}/prefix >/dev/null; rm -rf {build}/consumer; "
                   f"cmake -G Ninja -S /src/netserve/tests/consumer -B {build}/consumer -DCMAKE_PREFIX_PATH={build}/prefix {options}; "
                   f"ninja -j2 -C {build}/consumer; ctest --test-dir {build}/consumer --no-tests=error")

    def tests():
        if libcxx:
            raise Failed("not tried: Debian's Boost.Test is of libstdc++")
        root.shell(f"ninja -j2 -k0 -C {build} all", 1800)
        try:
            said = root.shell(f"ctest --test-dir {build} -LE 'slow|consumer' -j2 --repeat until-pass:3", 900)
        except Failed:
            said = root.log.read_text(errors="replace")
        failed = re.search(r"The following tests FAILED:\n(.*?)\nErrors", said[said.rfind("Test project"):], re.S)
        if failed:
            raise Failed("fails: " + ", ".join(re.findall(r"- (\S+)", failed[1])))
        return re.findall(r"out of (\d+)", said)[-1] + " pass"

    def import_std():
        where = "/usr/lib/llvm-*/share/libc++/v1/std.cppm" if libcxx else "/usr/include/c++/*/bits/std.cc"
        found = sorted(root.path.glob(where.lstrip("/")), key=lambda path: [int(n) for n in re.findall(r"\d+", str(path.relative_to(root.path)))])
        if compiler.startswith("g++"):
            found = [path for path in found if f"/{compiler[4:]}/" in str(path)]
        if not found:
            raise Failed("no such module here")
        program(root, build, "import_std", "import std;\nimport net.server;\n" + body,
                f"{options} -DSTD_MODULE=/{found[-1].relative_to(root.path)}")

    return dict(zip(COLUMNS, [
        library, demo, consumer, tests, import_std,
        lambda: program(root, build, "includes_first", heavy + head + "import net.server;\n" + body, options),
        lambda: program(root, build, "imports_first", "import net.server;\n" + heavy + head + body, options)]))


def row(name, columns, quick, without):
    suite, compiler, packages, flags = COMPILERS[name]
    root = Root(suite, name)
    if quick and not (root.path.exists() and os.geteuid() == 0):
        print(f"{name}: not checked, as there is no {root.path}: ./run compilers {name}, as root, makes it", flush=True)
        return None
    begin = time.monotonic()
    root.make()
    root.install(PACKAGES + packages)
    version = root.shell(f"{compiler} -dumpfullversion 2>/dev/null || {compiler} -dumpversion").split("\n")[-2]
    print(f"{name}: version {version} of {suite}, installed in {time.monotonic() - begin:.0f} s", flush=True)
    build = "/build/" + re.sub(r"\W", "", name)
    (root.path / "build").mkdir(exist_ok=True)
    cells, tried = [], steps(root, build, compiler, flags)
    for column in columns:
        if column == without:
            cells.append("not tried")
            continue
        begin = time.monotonic()
        try:
            cells.append(tried[column]() or "yes")
        except Failed as failure:
            cells.append(re.sub(r"/build/\S*/|/src/netserve/", "", str(failure)).replace("|", "\\|")[:160])
        print(f"{name}: {column}: {cells[-1]} ({time.monotonic() - begin:.0f} s)", flush=True)
        if column == "library" and cells[0] != "yes":
            cells += ["–"] * (len(columns) - 1)
            break
    return f"| {name} ({version}, {suite}) | " + " | ".join(cells) + " |"


def main(arguments):
    quick = "--quick" in arguments
    without = "tests" if "--without-tests" in arguments else ""
    names = [name for name in arguments if not name.startswith("--")] or list(COMPILERS)
    for name in names:
        if name not in COMPILERS:
            raise SystemExit(f"compilers: there is no \"{name}\"; there are {'; '.join(COMPILERS)}")
    if os.geteuid() != 0 and not quick:
        raise SystemExit("compilers: needs root, for roots of its own")
    ROOTS.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in names:
        line = row(name, QUICK if quick else COLUMNS, quick, without)
        if quick:
            failed |= line is not None and line.count(" yes ") != len(QUICK)
            continue
        # After each, as the others may take an hour; rows that are not tried now stay.
        before, _, rest = PAGE.read_text().partition(BEGIN)
        written, _, after = rest.partition(END)
        rows = {found[1]: found[0] for found in re.finditer(r"^\| ([^|(]+) \(.*$", written, re.M)}
        rows[name] = line
        table = [f"| compiler | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
        table += [rows[known] for known in sorted(COMPILERS) if known in rows]
        PAGE.write_text(before + BEGIN + "\n" + "\n".join(table) + "\n" + END + after)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
