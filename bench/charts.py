"""Charts as SVG, in plain text. Each has its own background, so that it can be read on any page."""

import math
from xml.sax.saxutils import escape

INK, FAINT, GROUND = "#222222", "#cccccc", "#ffffff"
OURS, FLOOR, OTHERS = "#1f6fb4", "#8a8a8a", "#d9a441"
LINES = ("#1f6fb4", "#8a8a8a", "#d9a441", "#3f9b57", "#b5473c", "#7a5ba6", "#3b3b3b", "#c77fa8", "#5fb0b7")
FONT = 'font-family="sans-serif"'


def number(value):
    if value >= 10000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _text(x, y, text, anchor="start", size=12, weight="normal"):
    return f'<text x="{x:.1f}" y="{y:.1f}" {FONT} font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{INK}">{escape(text)}</text>'


def _page(width, height, title, parts):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
    ground = f'<rect width="{width}" height="{height}" fill="{GROUND}"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, *parts, "</svg>", ""])


def _colour(name):
    return OURS if name.startswith("netserve") else FLOOR if name.startswith("floor") else OTHERS


def bars(title, panels):
    """Panels side by side; each is (heading, {name: Estimate}). A bar is a median, its whisker the interval."""
    rows = max(len(values) for _, values in panels)
    label, bar, row, panel, top = 140, 200, 22, 420, 62
    width, height = panel * len(panels), top + rows * row + 14
    parts = [_text(12, 22, title, size=15, weight="bold")]
    for index, (heading, values) in enumerate(panels):
        left = index * panel
        parts.append(_text(left + 12, 48, heading, size=12, weight="bold"))
        most = max(estimate.high for estimate in values.values()) or 1
        for place, (name, estimate) in enumerate(values.items()):
            y = top + place * row
            scale = bar / most
            middle = y + 8
            x = left + label
            parts += [
                _text(x - 6, y + 12, name, "end", 11),
                f'<rect x="{x}" y="{y}" width="{estimate.median * scale:.1f}" height="16" fill="{_colour(name)}"/>',
                f'<path d="M{x + estimate.low * scale:.1f} {middle}H{x + estimate.high * scale:.1f}" stroke="{INK}" stroke-width="1.5"/>',
                _text(x + estimate.high * scale + 6, y + 12, number(estimate.median), size=11),
            ]
    return _page(width, height, title, parts)


def _round_up(value):
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


def _logarithmic(value):
    return f"{value / 1e6:g} s" if value >= 1e6 else f"{value / 1e3:g} ms" if value >= 1e3 else f"{value:g} µs"


def timeline(title, series, bin_ms, changes, bound):
    """Microseconds by time, on a logarithmic axis: {name: [value or None for each bin]}; `changes` are (ms, what
    begins there), and `bound` is a line across."""
    width, height, left, right, top, bottom = 900, 430, 66, 150, 76, 50
    values = [value for line in series.values() for value in line if value]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(*values, bound)))
    high = max(high, low + 1)
    longest = max(len(line) for line in series.values()) * bin_ms

    def across(milliseconds):
        return left + milliseconds / longest * (width - left - right)

    def up(value):
        return height - bottom - (math.log10(value) - low) / (high - low) * (height - top - bottom)

    parts = [_text(12, 24, title, size=15, weight="bold")]
    for power in range(low, high + 1):
        y = up(10**power)
        parts.append(f'<path d="M{left} {y:.1f}H{width - right}" stroke="{FAINT}"/>')
        parts.append(_text(left - 6, y + 4, _logarithmic(10**power), "end", 11))
    for begin, what in changes:
        x = across(begin)
        parts.append(f'<path d="M{x:.1f} {top - 8}V{height - bottom}" stroke="{INK}" stroke-dasharray="4 3"/>')
        parts.append(_text(x + 4, top - 12, what, size=11))
        parts.append(_text(x, height - bottom + 18, f"{begin / 1000:g} s", "middle", 11))
    parts.append(f'<path d="M{left} {up(bound):.1f}H{width - right}" stroke="#b5473c" stroke-width="1.5"/>')
    parts.append(_text(width - right + 6, up(bound) + 4, _logarithmic(bound), size=11))
    for index, (name, line) in reversed(list(enumerate(series.items()))):  # the first one above the others
        colour = LINES[index % len(LINES)]
        points, pen = [], "M"
        for number, value in enumerate(line):
            if value:
                points.append(f"{pen}{across((number + 0.5) * bin_ms):.1f} {up(value):.1f}")
            pen = "L" if value else "M"
        parts.append(f'<path d="{"".join(points)}" fill="none" stroke="{colour}" stroke-width="1"/>')
        y = height - bottom - 18 * (len(series) - index)
        parts.append(f'<rect x="{width - right + 18}" y="{y}" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(width - right + 36, y + 10, name, size=11))
    parts.append(_text((left + width - right) / 2, height - 12, "time at which the requests were sent", "middle", 11))
    return _page(width, height, title, parts)


def lines(title, across, up, series):
    """One line for each name: {name: [(x, Estimate)]}, with whiskers. The vertical axis begins at 0."""
    width, height, left, right, top, bottom = 760, 410, 60, 170, 60, 50
    points = [point for line in series.values() for point in line]
    most_x = max(x for x, _ in points) or 1
    most_y = _round_up(max(estimate.high for _, estimate in points))

    def at(x, y):
        return left + x / most_x * (width - left - right), height - bottom - y / most_y * (height - top - bottom)

    parts = [_text(12, 24, title, size=15, weight="bold"), _text(12, top - 12, up, size=11)]
    for step in range(6):
        value = most_y * step / 5
        _, y = at(0, value)
        parts.append(f'<path d="M{left} {y:.1f}H{width - right}" stroke="{FAINT}"/>')
        parts.append(_text(left - 6, y + 4, f"{value:.3g}", "end", 11))
    for x in sorted({x for x, _ in points}):
        parts.append(_text(at(x, 0)[0], height - bottom + 18, f"{x:,}", "middle", 11))
    parts.append(_text((left + width - right) / 2, height - 12, across, "middle", 11))
    for index, (name, line) in enumerate(series.items()):
        colour = LINES[index % len(LINES)]
        path = "L".join("{:.1f} {:.1f}".format(*at(x, estimate.median)) for x, estimate in line)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, estimate in line:
            column, middle = at(x, estimate.median)
            low, high = at(x, estimate.low)[1], at(x, estimate.high)[1]
            parts.append(f'<path d="M{column:.1f} {low:.1f}V{high:.1f}" stroke="{colour}" stroke-width="1.5"/>')
            parts.append(f'<circle cx="{column:.1f}" cy="{middle:.1f}" r="3" fill="{colour}"/>')
        y = top + 6 + index * 18
        parts.append(f'<rect x="{width - right + 18}" y="{y}" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(width - right + 36, y + 10, name, size=11))
    return _page(width, height, title, parts)
