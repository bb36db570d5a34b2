module;

#include <string_view>

module net.monitor;

import :page;

// The page loads nothing from other sites, and contains no inline style or script, as its
// Content-Security-Policy requires.

namespace net {

constexpr std::string_view page_html = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>netserve</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/monitor.css">
<script src="/monitor.js" defer></script>
</head>
<body>
<header>
<h1>netserve</h1>
<p id="link" role="status">connecting</p>
</header>
<noscript><p>This page draws by a script. The same figures are at <a href="/metrics">/metrics</a>.</p></noscript>
<main id="servers"></main>
<template id="server">
<section>
<h2><span class="name"></span> <span class="ready"></span></h2>
<dl class="tiles"></dl>
<div class="charts"></div>
<details>
<summary>All figures</summary>
<table>
<thead><tr><th scope="col">figure</th><th scope="col">now or in all</th><th scope="col">a second</th></tr></thead>
<tbody></tbody>
</table>
</details>
</section>
</template>
<footer><a href="/metrics">/metrics</a> for Prometheus</footer>
</body>
</html>
)html";

constexpr std::string_view page_css = R"css(
:root {
  color-scheme: light dark;
  --back: #ffffff; --text: #1b1f24; --quiet: #57606a; --line: #d0d7de; --panel: #f6f8fa;
  --first: #0550ae; --second: #953800; --good: #116329; --bad: #a40e26;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #0d1117; --text: #e6edf3; --quiet: #9da7b3; --line: #30363d; --panel: #161b22;
    --first: #79c0ff; --second: #ffa657; --good: #7ee787; --bad: #ff9492;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--back); color: var(--text);
  font: 1rem/1.4 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; overflow-wrap: anywhere; }
#link { margin: 0; color: var(--quiet); }
#link.lost { color: var(--bad); font-weight: 600; }
.ready { color: var(--good); font-weight: 600; }
.ready.not { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .5rem; margin: 0; }
.tiles div { background: var(--panel); border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .7rem; }
.tiles dt { color: var(--quiet); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.tiles .bad dd { color: var(--bad); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: .5rem; margin: .5rem 0; }
figure { margin: 0; background: var(--panel); border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .7rem; }
figcaption { color: var(--quiet); font-size: .85rem; display: flex; flex-wrap: wrap; gap: 0 1rem; }
.one { color: var(--first); } .two { color: var(--second); }
svg { display: block; width: 100%; height: 6rem; overflow: visible; }
polyline { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
.one polyline, polyline.one { stroke: var(--first); }
polyline.two { stroke: var(--second); stroke-dasharray: 5 3; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; width: 100%; max-width: 40rem; }
th, td { text-align: right; padding: .15rem .6rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; font-weight: 400; overflow-wrap: anywhere; }
summary { cursor: pointer; padding: .3rem 0; }
a { color: var(--first); }
footer { margin-top: 2rem; color: var(--quiet); }
)css";

constexpr std::string_view page_js = R"js('use strict';
const kept = 120;  // seconds that a chart shows
const bounds = [1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01,
                0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, Infinity];
const ends = ['served', 'closed_idle', 'timed_out', 'failed', 'cut', 'dropped', 'refused', 'not_introduced',
              'shed_waiting', 'shed_rejected', 'shed_evicted', 'shed_greedy', 'shed_too_many', 'shed_too_fast'];
const sheds = ends.filter((name) => name.startsWith('shed_'));
const errors = ['handler', 'hook', 'peer_gone', 'time_out', 'accept', 'policy'];
const gauges = new Set(['active', 'waiting', 'parked', 'lingering', 'connections_open', 'connections_max', 'buffered_bytes',
                        'buffered_bytes_max', 'policy_waiting', 'workers', 'workers_busy', 'workers_max']);
const views = new Map();

const sum = (from, names) => names.reduce((all, name) => all + from[name], 0);
const short = (number) => number >= 1e6 ? (number / 1e6).toFixed(1) + ' M' : number >= 1e4 ? (number / 1e3).toFixed(1) + ' k'
  : number >= 100 || Number.isInteger(number) ? String(Math.round(number)) : number.toFixed(1);
const time = (seconds) => seconds === null ? '–' : seconds === Infinity ? '> 10 s' : seconds >= 1 ? seconds + ' s'
  : seconds >= 1e-3 ? +(seconds * 1e3).toFixed(2) + ' ms' : +(seconds * 1e6).toFixed(1) + ' µs';

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// The bound below which that share of the requests since the last event stayed; null without any.
function quantile(took, share) {
  const all = took.reduce((count, each) => count + each, 0);
  if (all === 0) return null;
  let count = 0;
  for (let i = 0; i < took.length; ++i) {
    count += took[i];
    if (count >= share * all) return bounds[i];
  }
  return Infinity;
}

class Chart {
  constructor(place, title, names, say) {
    this.rows = names.map(() => []);
    this.say = say;
    const figure = element('figure');
    const caption = figure.appendChild(element('figcaption', title));
    this.labels = names.map((name, i) => caption.appendChild(element('span', name, i ? 'two' : 'one')));
    this.names = names;
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', `0 0 ${kept - 1} 100`);
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', title + ', the last two minutes');
    this.lines = names.map((name, i) => {
      const line = document.createElementNS(svg.namespaceURI, 'polyline');
      line.setAttribute('class', i ? 'two' : 'one');
      return svg.appendChild(line);
    });
    figure.append(svg);
    place.append(figure);
  }
  add(values) {
    this.rows.forEach((row, i) => { row.push(values[i]); if (row.length > kept) row.shift(); });
    const most = Math.max(...this.rows.flat().map((value) => Number.isFinite(value) ? value : 0)) || 1;
    this.rows.forEach((row, i) => {
      const points = row.map((value, at) => value === null ? null
        : `${kept - row.length + at},${(98 - 94 * Math.min(value / most, 1)).toFixed(1)}`);
      this.lines[i].setAttribute('points', points.filter((point) => point !== null).join(' '));
      this.labels[i].textContent = `${this.names[i]} ${this.say(values[i])}`;
    });
  }
}

class View {
  constructor() {
    const made = document.getElementById('server').content.cloneNode(true);
    this.name = made.querySelector('.name');
    this.ready = made.querySelector('.ready');
    this.tiles = made.querySelector('.tiles');
    this.table = made.querySelector('tbody');
    const charts = made.querySelector('.charts');
    this.rate = new Chart(charts, 'Requests a second', [''], short);
    this.times = new Chart(charts, 'Time in the handler', ['p50', 'p99'], time);
    this.connections = new Chart(charts, 'Connections', ['open', 'in handlers'], short);
    this.workers = new Chart(charts, 'Workers', ['busy', 'waiting requests'], short);
    this.trouble = new Chart(charts, 'Trouble a second', ['errors', 'shed'], short);
    document.getElementById('servers').append(made);
  }
  tile(name, value, bad) {
    let found = this.tiles.querySelector(`[data-name="${name}"]`);
    if (!found) {
      found = element('div');
      found.dataset.name = name;
      found.append(element('dt', name), element('dd'));
      this.tiles.append(found);
    }
    found.lastChild.textContent = value;
    found.className = bad ? 'bad' : '';
  }
  row(name, value, rate) {
    let found = this.table.querySelector(`[data-name="${name}"]`);
    if (!found) {
      found = element('tr');
      found.dataset.name = name;
      const head = element('th', name.replaceAll('_', ' '));
      head.scope = 'row';
      found.append(head, element('td'), element('td'));
      this.table.append(found);
    }
    found.children[1].textContent = value.toLocaleString('en');
    found.children[2].textContent = rate === null ? '' : short(rate);
  }
  show(server, now) {
    const before = this.before;
    // The counters of a restarted server begin at 0.
    const same = before && now > before.now && server.requests >= before.server.requests
      && server.connections_accepted >= before.server.connections_accepted;
    const seconds = same ? (now - before.now) / 1000 : null;
    const rate = (name) => same ? Math.max(server[name] - before.server[name], 0) / seconds : null;
    const took = server.took.map((count, i) => same ? count - before.server.took[i] : 0);
    this.before = {server, now};
    this.name.textContent = server.name;
    this.ready.textContent = server.ready ? 'ready' : 'not ready';
    this.ready.className = server.ready ? 'ready' : 'ready not';
    const troubles = same ? (sum(server, errors) - sum(before.server, errors)) / seconds : null;
    const shed = same ? (sum(server, sheds) - sum(before.server, sheds)) / seconds : null;
    const p50 = quantile(took, 0.5), p99 = quantile(took, 0.99);
    const say = (value) => value === null ? '–' : short(value);
    this.tile('requests a second', say(rate('requests')));
    this.tile('p99 in the handler', time(p99));
    this.tile('connections', `${short(server.connections_open)} of ${short(server.connections_max)}`,
              server.connections_open >= server.connections_max);
    this.tile('workers busy', server.workers_max ? `${server.workers_busy} of ${server.workers_max}` : '–',
              server.workers_max && server.workers_busy >= server.workers_max);
    this.tile('waiting requests', short(server.policy_waiting));
    this.tile('errors a second', say(troubles), troubles > 0);
    this.tile('shed a second', say(shed), shed > 0);
    if (same) {
      this.rate.add([rate('requests')]);
      this.times.add([p50, p99]);
      this.trouble.add([troubles, shed]);
    }
    this.connections.add([server.connections_open, server.active]);
    this.workers.add([server.workers_busy, server.policy_waiting]);
    for (const [name, value] of Object.entries(server)) {
      if (typeof value === 'number') this.row(name, value, gauges.has(name) ? null : rate(name));
    }
  }
}

const link = document.getElementById('link');
const show = (message) => {
  const {now, servers} = JSON.parse(message.data);
  for (const server of servers) {
    if (!views.has(server.name)) views.set(server.name, new View());
    views.get(server.name).show(server, now);
  }
};
const connect = () => {
  const events = new EventSource('/events');
  events.onopen = () => { link.textContent = 'live'; link.className = ''; };
  events.onerror = () => {
    link.textContent = 'no answer: trying again';
    link.className = 'lost';
    // The browser itself tries again after a lost connection, but not after an answer like 503.
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, 5000);
  };
  events.onmessage = show;
};
connect();
)js";

}  // namespace net
