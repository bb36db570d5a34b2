#!/usr/bin/env python3
"""Sends requests to an echo of lines at a constant rate, and counts those that fail.

Each request is a connection of its own: it sends a line and expects that line back. The rate does
not depend on the answers, so a service that stalls is seen as late and failed requests, not as
fewer of them. Latency counts from the time when a request was due, and includes the pause of
--halves.

A request fails if it is refused, reset, closed, answered wrongly, or not answered within --patience.
Failures are of two kinds. With --killed PID, requests that were under way when that process died may
have been inside it, and nothing in front of it can save them. All others are the deployment's fault:
if there is one, the exit status is 1.
"""

import argparse
import asyncio
import os
import signal
import sys
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", default="127.0.0.1:9000", metavar="HOST:PORT", help="the echo [%(default)s]")
    parser.add_argument("--rate", type=float, default=500, metavar="N", help="requests a second [%(default)s]")
    parser.add_argument("--seconds", type=float, default=10, help="for how long [%(default)s]; SIGINT ends it before")
    parser.add_argument("--patience", type=float, default=5, metavar="SECONDS", help="for an answer [%(default)s]")
    parser.add_argument("--halves", type=float, default=0, metavar="SECONDS",
                        help="send the line in two halves, so far apart, to have more requests under way")
    parser.add_argument("--killed", type=int, action="append", default=[], metavar="PID",
                        help="a process that will be killed; may be repeated")
    return parser.parse_args()


class Load:
    def __init__(self, options):
        self.options = options
        host, _, port = options.to.rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)
        self.latencies = []
        self.failures = []  # (when it began, when it failed, what went wrong)
        self.deaths = []  # when the processes of --killed were gone

    def watch(self, pid):
        # A pidfd becomes readable when all threads of the process are gone, and its sockets with them.
        descriptor = os.pidfd_open(pid)

        def gone():
            self.deaths.append(time.monotonic())
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

        asyncio.get_running_loop().add_reader(descriptor, gone)

    async def ask(self, number):
        question = b"request %d\n" % number
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            if self.options.halves:
                writer.write(question[:4])
                await asyncio.sleep(self.options.halves)
                writer.write(question[4:])
            else:
                writer.write(question)
            answer = await reader.readline()
        finally:
            writer.close()
        if answer != question:
            raise ConnectionError(f"answered {answer!r}" if answer else "closed without an answer")

    async def request(self, number, due):
        begin = time.monotonic()
        try:
            await asyncio.wait_for(self.ask(number), self.options.patience)
            self.latencies.append(time.monotonic() - due)
        except asyncio.TimeoutError:
            self.failures.append((begin, time.monotonic(), "no answer in time"))
        except OSError as error:
            self.failures.append((begin, time.monotonic(), str(error)))

    async def run(self):
        for pid in self.options.killed:
            self.watch(pid)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
        print(f"sending {self.options.rate:g} requests a second to {self.options.to}", flush=True)
        self.start = time.monotonic()
        requests = set()
        for number in range(int(self.options.rate * self.options.seconds)):
            due = self.start + number / self.options.rate
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            if stop.is_set():
                break
            task = asyncio.create_task(self.request(number, due))
            requests.add(task)
            task.add_done_callback(requests.discard)
        elapsed = time.monotonic() - self.start
        await asyncio.gather(*requests)
        return elapsed

    def may_have_been_inside(self, failure):
        begin, end, _ = failure
        # The kernel resets a process's connections shortly before it says that the process is gone.
        return any(begin <= death and end >= death - 0.1 for death in self.deaths)

    def report(self, elapsed):
        inside = [failure for failure in self.failures if self.may_have_been_inside(failure)]
        others = [failure for failure in self.failures if not self.may_have_been_inside(failure)]
        sent = len(self.latencies) + len(self.failures)
        late = sorted(self.latencies) or [float("nan")]
        share = lambda part: 1000 * late[min(len(late) - 1, int(part * len(late)))]
        print(f"{sent} requests in {elapsed:.1f} s, {sent / elapsed:.0f} a second: {len(self.latencies)} answered, "
              f"{len(inside)} failed in a killed process, {len(others)} failed otherwise")
        print(f"latency: p50 {share(.5):.1f} ms, p99 {share(.99):.1f} ms, p99.9 {share(.999):.1f} ms, "
              f"most {1000 * late[-1]:.1f} ms")
        for begin, _, what in others[:10]:
            print(f"  after {begin - self.start:.3f} s: {what}", file=sys.stderr)
        if len(self.deaths) < len(self.options.killed):
            print("a process of --killed is still there", file=sys.stderr)
            return 1
        return 1 if others or not self.latencies else 0


def main():
    load = Load(arguments())
    sys.exit(load.report(asyncio.run(load.run())))


main()
