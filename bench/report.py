"""The page of a run: Markdown, and its charts."""

import charts
from results import ENOUGH
from scenarios import SCENARIOS, WORK_PEERS
from serving import ASIO, SERVERS
from more_cores import predictions
from tables import columns, interval, table, written
from targets import WIDTH, claims
from working import METRICS, comparisons

IDLE = {"idle-0": 0, "idle-5000": 5000, "idle-10000": 10000}

def _bases(scenario, results):
    """Returns the servers with which the others are compared, and the heading of each comparison."""
    if scenario.kind == "compile":
        return {"asio_pool": "Asio"}
    if scenario.kind in ("start", "count", "quiet", "serial"):
        return {}
    measured = results.servers(scenario.name)
    wanted = ["floor", results.best(scenario.name, ASIO, "requests_per_second")]
    if scenario.kind == "redis":
        wanted = ["redis"]
    if scenario.works:
        wanted = [results.best(scenario.name, WORK_PEERS, "requests_per_second")]
    wanted += scenario.bases
    return {base: base for base in wanted if base in measured}


def _scenario(scenario, results):
    shown, bases = columns(scenario, results), _bases(scenario, results)
    compared = {"load": (("requests/s", "requests_per_second"), ("CPU", "cpu")), "compile": (("compile -O0", "compile"),)}.get(scenario.kind, ())
    if scenario.kind == "redis":
        compared = (("PING", "ping"), ("SET", "set"), ("GET", "get"))
    if scenario.works:
        compared = (compared[0], ("p50", "p50"), ("p99", "p99"), compared[1])
    heading = ["server", *(c[0] for c in shown)]
    heading += [f"{label} ÷ {title}" for title in bases.values() for label, _ in compared]
    rows = []
    for server in (name for name in SERVERS if name in results.servers(scenario.name)):
        title = {"netserve": "netserve", "asio_pool": "Asio"}[server] if scenario.kind == "compile" else server
        row = [title, *(written(results.median(scenario.name, server, metric), form) for _, metric, form in shown)]
        for base in bases:
            for _, metric in compared:
                ratio = results.ratio(metric, (scenario.name, server), (scenario.name, base))
                row.append("1" if server == base else interval(ratio))
        rows.append(row)
    failures = [f"- {server} failed: {why}" for server, why in results.failures.get(scenario.name, {}).items()]
    return (table(heading, rows) if rows else []) + ["" for _ in rows[:1] if failures] + failures


def _bars(scenario, results):
    def values(metric):
        measured = {s: results.estimate(scenario.name, s, metric) for s in SERVERS if s in results.servers(scenario.name)}
        return dict(sorted(measured.items(), key=lambda item: item[1].median, reverse=metric != "cpu"))

    panels = [("requests a second (more is better)", values("requests_per_second")), ("CPU per request, µs (less is better)", values("cpu"))]
    return charts.bars(scenario.title, panels)


def _idle_lines(results):
    series = {}
    for server in SERVERS:
        points = [(count, results.estimate(name, server, "cpu")) for name, count in IDLE.items()]
        points = [(count, estimate) for count, estimate in points if estimate]
        if len(points) > 1:
            series[server] = points
    if not series:
        return None
    return charts.lines("CPU per request of 16 active connections", "idle connections beside them", "microseconds", series)


def _changes(results, scenario):
    """Returns a chart that shows, for each server, the round whose worst figure is the median one."""
    series, bin_ms = {}, 0
    for server in (name for name in SERVERS if name in results.servers(scenario.name)):
        samples = sorted(results.samples[scenario.name][server].values(), key=lambda sample: sample["worst_p99"])
        measured = samples[(len(samples) - 1) // 2]["timeline"]
        series[server], bin_ms = measured["p99"], measured["bin_ms"]
    length = max(len(line) for line in series.values()) * bin_ms
    changes = [(begin, "sleeping" if begin // scenario.regime % 2 else "echo") for begin in range(0, length - bin_ms, scenario.regime)]
    return charts.timeline("p99 of the requests that do not sleep", series, bin_ms, changes, 5000)


def _settling(results, facts):
    ratios = [c for c in claims(results) if c.uses and c.estimate]
    settled = sum(c.settled() for c in ratios)
    why = {"settled": "", "time": f", the time of {facts['minutes']:g} minutes", "rounds": f", {facts['most_rounds']} rounds"}[facts["ended"]]
    return (
        f"{settled} of {len(ratios)} ratios are settled: the interval lies within {WIDTH:.0%} of the median. The servers that the other ratios "
        f"compare were measured in further rounds until these were settled too, or until the limit{why}. A target that is no ratio is measured in "
        f"{facts['rounds']} rounds, one that is counted in one, and the handlers that change in three."
    )


def _targets(results, facts):
    rows = [[c.target, c.what, c.wanted(), c.measured(), c.rounds(), c.verdict()] for c in claims(results)]
    missed = [row for row in rows if "missed" in row[5]]
    unmeasured = [row for row in rows if row[5] == "not measured"]
    summary = f"Of {len(rows)}: {len(rows) - len(missed) - len(unmeasured)} met, {len(missed)} missed"
    summary += f", {len(unmeasured)} not measured." if unmeasured else "."
    return [
        "A target is met if the interval of the ratio reaches it; *at the edge* means that the interval holds both sides of it.",
        _settling(results, facts),
        summary,
        "",
        *table(["target", "what", "wanted", "measured", "rounds", ""], rows, texts=6),
    ]


def _working(results):
    """Returns a table of all scenarios whose handlers work, or nothing."""
    compared = comparisons(results)
    if not compared:
        return []
    heading = ["handlers", "ours", "best peer", "its requests/s", *(f"{title} ÷ best peer" for title, _ in METRICS)]
    rows = [
        [c.title.removeprefix("Handlers "), c.ours, c.peer, f"{c.peers_requests:,.0f}", *(interval(c.ratios[metric]) for _, metric in METRICS)]
        for c in compared
    ]
    return [
        "", "## Handlers that work, in short", "",
        "Of each of the scenarios below: ours, by the peer that had the most requests a second. With 8 workers where handlers compute only, "
        "with 64 where some sleep.", "",
        *table(heading, rows, texts=3),
    ]


def _about(facts):
    versions = [[name, version] for name, version in facts["versions"].items()]
    rounds, seconds, warm_up = facts["rounds"], facts["seconds"], facts["warm_up"]
    lines = [
        f"`{facts['command']}` on {facts['date']}: {facts['machine']}; {facts['system']}, Linux {facts['kernel']}.",
        "",
        *table(["", "version"], versions, texts=2),
        "",
        "## How it was measured",
        "",
        f"Rounds: {rounds}, and up to {facts['most_rounds']} where a target needs it. In each, every server serves every scenario once, in an order "
        "shuffled anew: a process of its own each time, "
        f"{warm_up:g} s to warm up, {seconds:g} s measured. The load comes from the same machine, from one thread, which checks each byte. "
        "Each connection asks again when it is answered, unless the scenario says otherwise.",
        "",
        "- Figures are medians of the rounds. A ratio is that of two servers in the same round, as its median and, in brackets, "
        + ("its 95 % interval by order statistics." if rounds >= ENOUGH else f"its extremes: a 95 % interval takes {ENOUGH} rounds or more."),
        "- CPU per request is what the kernel accounts to the server's process and its children between the begin and the end of what is measured.",
        "- Memory per connection is what the process grows by in memory (its children included, shared pages in shares); "
        "where there are idle connections, what these add. What the kernel holds for a socket is not in it.",
        "- A datagram that got lost is asked for again after 200 ms, which is part of its latency; how often that was, for all clients, is in the "
        "column *resent*.",
        "- Every server of TCP sets TCP_NODELAY. Those that hold a buffer for each connection read 4 KiB at a time, or 16 KiB where messages are as large.",
    ]
    if facts["loops"]:
        written_loops = ", ".join(f"{count} in {language.upper() if language == 'c' else language.title()}" for language, count in facts["loops"].items())
        lines.append(
            "- Handlers that compute run a loop of arithmetic (`bench/servers/work.h`), all servers the same: so many iterations stand for a microsecond "
            f"of this machine, measured at the begin: {written_loops}. Of handlers that sleep, one request in so many does, counted over all connections."
        )
    if facts["demo"]:
        lines.append("- netserve is the demo server here (`NETSERVE_BENCH_DEMO`).")
    lines += [f"- Left out: {server} ({why})." for server, why in facts["skipped"].items()]
    return lines


def _commands(facts):
    lines = []
    for name, commands in facts["commands"].items():
        lines += [f"{SCENARIOS[name].title}:", ""]
        lines += [f"    {command}" for command in (*commands["servers"].values(), commands["load"]) if command]
        lines.append("")
    return lines[:-1]


def write(results, facts, output):
    """Writes benchmarks.md and its charts into the directory `output`, and returns the path of the page."""
    drawn = output / "benchmarks"
    drawn.mkdir(parents=True, exist_ok=True)
    for old in drawn.glob("*.svg"):
        old.unlink()

    def chart(name, title, svg):
        (drawn / f"{name}.svg").write_text(svg)
        return ["", f"![{title}](benchmarks/{name}.svg)"]

    page = [
        "<!-- Written by ./run bench; never edited by hand: edit bench/ and run it again. -->",
        "# Benchmarks", "", *_about(facts), "",
        "## Targets", "", *_targets(results, facts), "",
        "## The servers", "",
        *table(["server", ""], [[s.name, s.about] for s in SERVERS.values()], texts=2), "",
        "Their sources are in `bench/servers/`.",
    ]
    page += _working(results)
    measured = [s for s in SCENARIOS.values() if results.servers(s.name) or s.name in results.failures]
    for scenario in measured:
        page += ["", f"## {scenario.title}", "", scenario.about, "", *_scenario(scenario, results)]
        if scenario.kind == "load" and scenario.chart and results.servers(scenario.name) and scenario.name not in IDLE:
            page += chart(scenario.name, scenario.title, _bars(scenario, results))
        if scenario.regime and results.servers(scenario.name):
            page += chart(scenario.name, scenario.title, _changes(results, scenario))
        if scenario.name == "idle-10000" and (svg := _idle_lines(results)):
            page += chart("idle", "CPU per request against idle connections", svg)
        if scenario.name == "serial-compute":
            page += predictions(results)
    page += ["", "## Commands", "", *_commands(facts)]
    path = output / "benchmarks.md"
    path.write_text("\n".join(page) + "\n")
    return path


def in_short(results):
    """Returns a text for the terminal: the medians, and the targets."""
    lines = []
    for scenario in SCENARIOS.values():
        servers = [name for name in SERVERS if name in results.servers(scenario.name)]
        if not servers:
            continue
        shown = columns(scenario, results)
        titles = [title.replace("memory per connection", "memory") for title, _, _ in shown]
        widths = [max(22, len(title)) + 2 for title in titles]
        headings = "".join(f"{title:>{width}}" for title, width in zip(titles, widths))
        lines += ["", scenario.title, " " * 18 + headings]
        for server in servers:
            figures = (written(results.median(scenario.name, server, metric), form) for _, metric, form in shown)
            lines.append(f"{server:<18}" + "".join(f"{figure:>{width}}" for figure, width in zip(figures, widths)))
    compared = comparisons(results)
    if compared:
        lines += ["", "Ours, by the peer with the most requests a second", f"{'':78}{'ours':<14}{'peer':<10}" + "".join(f"{title:>20}" for title, _ in METRICS)]
    for c in compared:
        lines.append(f"{c.title:<78}{c.ours:<14}{c.peer:<10}" + "".join(f"{interval(c.ratios[metric]):>20}" for _, metric in METRICS))
    measured = [claim for claim in claims(results) if claim.estimate]
    if measured:
        lines += ["", "Targets (netserve)"]
    lines += [f"{c.target} {c.what}: {c.measured()}, wanted {c.wanted()}: {c.verdict().replace('**', '')}" for c in measured]
    return "\n".join(lines)
