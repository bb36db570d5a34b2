"""A prediction for machines with more cores, from the serial section of the pool."""

from tables import table

CORES = (1, 2, 4, 8, 16, 32, 64)
KINDS = (("serial-echo", "echo"), ("serial-compute", "compute 10 µs"))


def predictions(results):
    """Returns the lines of the page; none if the serial section was not measured."""
    measured = []
    for scenario, title in KINDS:
        serial = results.median(scenario, "serial_section", "serial_ns")
        if serial:
            measured.append((title, serial, results.median(scenario, "serial_section", "cpu") * 1000))
    if not measured:
        return []
    heading = ["cores", *(f"{title}: {what}" for title, _, _ in measured for what in ("requests/s", "cores busy"))]
    rows = []
    for cores in CORES:
        row = [str(cores)]
        for _, serial, whole in measured:
            busy = min(cores, max(1.0, whole / serial))
            row += [f"{busy / whole * 1e9:,.0f}", f"{busy:.1f}"]
        rows.append(row)
    return [
        "", "## More cores", "",
        "What the two tables above predict for a server that has the cores for itself. A request takes its whole processor time of some core, and its "
        "serial section of the one worker at a time that may do that; the pool is busy with as many cores as the first is times the second, "
        "and with no more. The most requests a second are these cores' by the processor time of one. It is a bound from above: it leaves out that "
        "workers wait for each other by chance, and that caches of distant cores are slower than those of this machine.", "",
        *table(heading, rows),
    ]
