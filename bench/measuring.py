"""Runs a server, and reads its use of resources from the kernel's accounts."""

import json
import os
import re
import select
import signal
import statistics
import subprocess
import threading
import time

READY = re.compile(rb"(?:listening on (?:[^ :/]*:)?|tcp://[^ ]*:|udp://[^ ]*:|unix:)(\d+|/\S+)")
REDIS_REQUESTS = 400_000
REDIS_BENCHMARK = ("redis-benchmark", "-P", "16", "-c", "50", "-t", "ping,set,get", "-n", str(REDIS_REQUESTS), "--csv")
SETTLING = 0.03  # seconds, for what a server does after its last answer
TICK = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    pass


def tree(pid):
    """Returns the process and its descendants."""
    found = [pid]
    for each in found:
        try:
            for task in os.listdir(f"/proc/{each}/task"):
                with open(f"/proc/{each}/task/{task}/children") as children:
                    found += [int(child) for child in children.read().split()]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def cpu_seconds(pid):
    """Returns the processor time of the process and its children, including those that have ended. For a process
    that runs, this is the kernel's clock of the process, which is exact to the nanosecond and counts threads that have
    ended. For children that were waited for, it is a number of ticks."""
    total = 0.0
    for each in tree(pid):
        try:
            total += time.clock_gettime(~each << 3 | 2)  # what clock_getcpuclockid(3) returns
            with open(f"/proc/{each}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
            total += (int(fields[13]) + int(fields[14])) / TICK  # cutime, cstime
        except OSError:
            pass  # the process has just ended, and is in its parent's account
    return total


def memory(pid, forks):
    """Returns the bytes in memory. If the server forks, each process counts a shared page in proportion."""
    name, key = ("smaps_rollup", "Pss:") if forks else ("status", "VmRSS:")
    total = 0
    for each in tree(pid) if forks else [pid]:
        try:
            with open(f"/proc/{each}/{name}") as lines:
                total += next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key)), 0)
        except OSError:
            pass
    return total


class Running:
    """A server process, from its start until the end of the `with` block."""

    def __init__(self, command):
        began = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        watch = threading.Timer(20, self.kill)
        watch.start()
        line = self.process.stdout.readline()
        self.start_seconds = time.monotonic() - began
        watch.cancel()
        ready = READY.search(line)
        if not ready:
            self.kill()
            error = self.process.communicate()[1].decode(errors="replace").strip()
            raise Failure(f"the server did not start: {error or line!r}")
        self.address = ready[1].decode()  # a port, or a path
        # Reads and drops stderr, so that a server that logs much does not block.
        threading.Thread(target=self._discard, args=(self.process.stderr,), daemon=True).start()

    @staticmethod
    def _discard(stream):
        while stream.read(65536):
            pass

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def stop(self):
        """Asks the server to stop, and returns how many seconds that took."""
        began = time.monotonic()
        ended = os.pidfd_open(self.process.pid)  # Popen.wait with a timeout polls at growing intervals
        try:
            self.process.send_signal(signal.SIGTERM)
            if not select.select([ended], [], [], 10)[0]:
                raise Failure("the server did not stop within 10 s of SIGTERM")
            return time.monotonic() - began
        finally:
            os.close(ended)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            if self.process.poll() is None:
                self.stop()
        except Failure:
            pass  # some servers need long to end thousands of threads; the measurement is complete
        self.kill()  # the processes that it left
        self.process.wait()
        self.process.stdout.close()


def follow(load, pid, forks):
    """Returns the accounts at each mark of the load program, and its result."""
    cpu, used, result = {}, {}, None
    for line in load.stdout:
        told = json.loads(line)
        if "mark" not in told:
            result = told
            continue
        time.sleep(SETTLING)
        cpu[told["mark"]] = cpu_seconds(pid)
        used[told["mark"]] = memory(pid, forks)
        try:
            load.stdin.write("\n")
            load.stdin.flush()
        except BrokenPipeError:
            break
    return cpu, used, result


def _after_changes(timeline, period):
    """Returns figures of all bins except the first bin of each period of `period` milliseconds."""
    every = period // timeline["bin_ms"]
    settled = [p99 for number, p99 in enumerate(timeline["p99"]) if p99 is not None and number % every != 0]
    return {"worst_p99": max(settled), "bins_over_5_ms": sum(p99 > 5000 for p99 in settled)}


def measure_load(command, server, scenario, load_program, seconds, warm_up):
    with Running(command) as running:
        pid = running.process.pid
        time.sleep(SETTLING)
        alone = memory(pid, server.forks)
        load = subprocess.Popen(
            [load_program, *scenario.load_arguments(server.name, running.address),
             "--seconds", str(seconds), "--warm-up", str(warm_up), "--marks"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        watch = threading.Timer(seconds + warm_up + 90, load.kill)
        watch.start()
        try:
            cpu, used, result = follow(load, pid, server.forks)
            error = load.stderr.read().strip()
            load.wait()
        finally:
            watch.cancel()
            load.kill()
            load.communicate()
        died = running.process.poll()
        if died is not None:
            raise Failure(f"the server ended with status {died}; {error}")
        if load.returncode != 0 or result is None:
            raise Failure(error or "the load program took too long")
    # The kernel's figures are seconds and bytes; the page shows microseconds.
    result["cpu"] = (cpu["end"] - cpu["begin"]) / result["requests"] * 1e6
    result["load"] = result["load_cpu_seconds"] / result["seconds"]
    if "timeline" in result:
        result |= _after_changes(result["timeline"], scenario.regime)
    if scenario.idle:
        result["memory"] = (used["idle"] - used["active"]) / scenario.idle
    elif not scenario.short and scenario.network != "udp":
        connections = scenario.connections_of.get(server.name, scenario.connections)
        result["memory"] = (used["active"] - alone) / connections
    return result


def measure_serial(command, scenario, load_program, seconds):
    """Returns what the program prints about its pool, and its processor time for each request, in microseconds."""
    with Running(command) as running:
        pid = running.process.pid
        before = cpu_seconds(pid)
        done = subprocess.run(
            [load_program, *scenario.load_arguments("", running.address), "--seconds", str(seconds), "--warm-up", "0"],
            capture_output=True, text=True, timeout=seconds + 60,
        )
        if done.returncode != 0:
            raise Failure(done.stderr.strip())
        used = cpu_seconds(pid) - before
        running.stop()
        sample = json.loads(running.process.stdout.read())
    if "serial_ns" not in sample:
        raise Failure("the pool takes no lock that the program knows of")
    return sample | {"cpu": used / json.loads(done.stdout)["requests"] * 1e6}


def measure_redis(command):
    """Returns the requests a second of each command, as Redis' benchmark prints them."""
    with Running(command) as running:
        pid = running.process.pid
        before = cpu_seconds(pid)
        done = subprocess.run([*REDIS_BENCHMARK, "-p", running.address], capture_output=True, text=True, timeout=120)
        used = cpu_seconds(pid) - before
    # "PING_MBULK","1234567.89",...
    found = dict(re.findall(r'^"(PING_MBULK|SET|GET)","([0-9.]+)"', done.stdout, re.MULTILINE))
    if done.returncode != 0 or len(found) != 3:
        raise Failure(f"redis-benchmark: {done.stderr.strip() or done.stdout.strip()[:300]}")
    commands = 4  # PING in its two forms, SET and GET
    sample = {"ping": found["PING_MBULK"], "set": found["SET"], "get": found["GET"]}
    return {name: float(rate) for name, rate in sample.items()} | {"cpu": used / (commands * REDIS_REQUESTS) * 1e6}


def calibrate(programs):
    """Returns, for each language, the iterations of the arithmetic of work.h in a microsecond."""
    loops = {}
    for language, program in (("c", programs / "threads"), ("go", programs / "go")):
        if program.exists():
            done = subprocess.run([program, "--calibrate"], capture_output=True, text=True, check=True)
            loops[language] = int(done.stdout)
    return loops


def measure_start_and_stop(command, times=5):
    starts, stops = [], []
    for _ in range(times):
        with Running(command) as running:
            starts.append(running.start_seconds * 1e3)
            stops.append(running.stop() * 1e3)
    return {"start_ms": statistics.median(starts), "stop_ms": statistics.median(stops)}
