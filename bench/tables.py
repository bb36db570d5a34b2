"""The common parts of the tables of the page."""

# A column is a heading, a metric, and how its median is written.
LOAD_COLUMNS = (
    ("requests/s", "requests_per_second", "{:,.0f}"),
    ("p50, µs", "p50", "{:,.0f}"),
    ("p99, µs", "p99", "{:,.0f}"),
    ("p99.9, µs", "p999", "{:,.0f}"),
    ("CPU per request, µs", "cpu", "{:.2f}"),
    ("memory per connection, KiB", "memory", "kibibytes"),
    ("load program, cores", "load", "{:.2f}"),
    ("worst p99 of 20 ms, µs", "worst_p99", "{:,.0f}"),
    ("bins above 5 ms", "bins_over_5_ms", "{:.0f}"),
    ("resent", "resent", "{:,.0f}"),
)
START_COLUMNS = (("start, ms", "start_ms", "{:.1f}"), ("stop, ms", "stop_ms", "{:.1f}"))
COMPILE_COLUMNS = (
    ("check only, s", "check", "{:.2f}"),
    ("compile -O0, s", "compile", "{:.2f}"),
    ("compile as released, s", "optimized", "{:.2f}"),
    ("scan, s", "scan", "{:.2f}"),
    ("interfaces, once, s", "interfaces", "{:.1f}"),
)
COUNT_COLUMNS = (("user instructions per request", "instructions", "{:,.0f}"), ("system calls per request", "system_calls", "{:.2f}"))
REDIS_COLUMNS = (
    ("PING/s", "ping", "{:,.0f}"),
    ("SET/s", "set", "{:,.0f}"),
    ("GET/s", "get", "{:,.0f}"),
    ("CPU per command, µs", "cpu", "{:.2f}"),
)
SERIAL_COLUMNS = (
    ("lock held, ns per request", "locked_ns", "{:.0f}"),
    ("lock from core to core, ns", "transfer_ns", "{:.0f}"),
    ("poll, ns", "poll_ns", "{:.0f}"),
    ("serial section, ns", "serial_ns", "{:.0f}"),
    ("CPU per request, µs", "cpu", "{:.2f}"),
)
QUIET_COLUMNS = (("user instructions per second", "quiet_instructions", "{:,.0f}"),)
COLUMNS = {
    "load": LOAD_COLUMNS,
    "redis": REDIS_COLUMNS,
    "serial": SERIAL_COLUMNS,
    "count": COUNT_COLUMNS,
    "quiet": QUIET_COLUMNS,
    "start": START_COLUMNS,
    "compile": COMPILE_COLUMNS,
}


def written(value, form):
    if value is None:
        return "–"
    return f"{value / 1024:.1f}" if form == "kibibytes" else form.format(value)


def interval(estimate):
    return f"{estimate.median:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]" if estimate else "–"


def table(heading, rows, texts=1):
    """Returns a table whose first `texts` columns are text, and whose other columns are figures."""
    alignment = ["---"] * texts + ["---:"] * (len(heading) - texts)
    return ["| " + " | ".join(cells) + " |" for cells in (heading, alignment, *rows)]


def columns(scenario, results):
    """Returns the columns for which there are figures."""
    servers = results.servers(scenario.name)
    return [c for c in COLUMNS[scenario.kind] if any(results.median(scenario.name, s, c[1]) is not None for s in servers)]
