// The page of the monitor in a real browser. Its figures must be those of a load that runs beside it,
// and it must survive a restart of the server, fit a phone, and load nothing from other sites. Its arguments: the demo, a directory for screenshots, the browser.
//
//     ./run check-page

import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import net from 'node:net';
import readline from 'node:readline';
import {chromium} from 'playwright-core';

const [demo, pictures, browserProgram] = process.argv.slice(2);
const patience = 20_000;
const within = (promise, what) => Promise.race([
  promise, new Promise((_, fail) => setTimeout(() => fail(new Error(`not in time: ${what}`)), patience).unref())]);

// Starts the demo. Its first two lines say where it listens.
async function start(service = 0, monitor = 0) {
  const child = spawn(demo, ['echo', '--listen', `tcp://127.0.0.1:${service}`, '--monitor', `tcp://127.0.0.1:${monitor}`],
                      {stdio: ['ignore', 'pipe', 'inherit']});
  const ports = [];
  const lines = readline.createInterface({input: child.stdout});
  for await (const line of lines) {
    ports.push(Number(line.match(/127\.0\.0\.1:(\d+)/)[1]));
    if (ports.length === 2) break;
  }
  child.stdout.resume();
  return {child, service: ports[0], monitor: ports[1]};
}

async function end(server, signal = 'SIGTERM') {
  const ended = once(server.child, 'exit');
  server.child.kill(signal);
  return (await within(ended, 'the end of the server'))[0];
}

// Clients that together make this many requests a second, and count the answers.
class Load {
  constructor(port, perSecond, clients = 4) {
    this.answers = 0;
    this.sockets = Array.from({length: clients}, () => net.connect(port, '127.0.0.1'));
    for (const socket of this.sockets) {
      socket.on('data', (data) => { this.answers += data.length; });
      socket.on('error', () => {});
    }
    let asked = 0;
    const begin = performance.now();
    this.timer = setInterval(() => {
      const due = Math.floor((performance.now() - begin) * perSecond / 1000);
      for (; asked < due; ++asked) this.sockets[asked % clients].write('x');
    }, 2);
  }
  stop() {
    clearInterval(this.timer);
    for (const socket of this.sockets) socket.destroy();
  }
}

const tile = async (page, name) => page.locator(`.tiles [data-name="${name}"] dd`).innerText();
const number = (text) => Number(text.replace(' k', 'e3').replace(' M', 'e6'));

async function check(name, run) {
  const begin = performance.now();
  await run();
  console.log(`${name}: holds (${((performance.now() - begin) / 1000).toFixed(1)} s)`);
}

let server = await within(start(), 'the start of the server');
const browser = await chromium.launch({executablePath: browserProgram, args: ['--no-sandbox']});
let load;
try {
  const complaints = [];
  const strangers = new Set();
  const open = async (options) => {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    page.setDefaultTimeout(patience);
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (url.protocol !== 'data:' && url.host !== `127.0.0.1:${server.monitor}`) strangers.add(url.href);
    });
    await page.goto(`http://127.0.0.1:${server.monitor}/`);
    await page.locator('#link', {hasText: 'live'}).waitFor();
    return page;
  };

  const wide = await open({viewport: {width: 1280, height: 900}});
  load = new Load(server.service, 400);

  await check('its figures are those of the load', async () => {
    await wide.waitForFunction(() => {
      const shown = document.querySelector('.tiles [data-name="requests a second"] dd');
      return shown && Number(shown.textContent) > 300;
    });
    await new Promise((done) => setTimeout(done, 2500));  // one whole interval of the page at least
    const rates = [];
    const before = load.answers, begin = performance.now();
    for (let i = 0; i < 5; ++i) {
      rates.push(number(await tile(wide, 'requests a second')));
      await new Promise((done) => setTimeout(done, 1000));
    }
    const real = (load.answers - before) / ((performance.now() - begin) / 1000);
    const shown = rates.reduce((sum, each) => sum + each, 0) / rates.length;
    assert.ok(Math.abs(shown - real) < 0.1 * real, `the page says ${shown} requests a second, and there are ${real}`);
    assert.match(await tile(wide, 'connections'), /^4 of /);
    assert.equal(await tile(wide, 'errors a second'), '0');
    assert.match(await tile(wide, 'p99 in the handler'), /(µs|ms)$/);
    assert.equal(await wide.locator('.ready').innerText(), 'ready');
  });

  await check('each figure is in the table', async () => {
    await wide.locator('summary').click();
    const total = number((await wide.locator('tr[data-name="requests"] td').first().innerText()).replaceAll(',', ''));
    assert.ok(total > 0 && total <= load.answers + 400, `it says ${total} requests, and there were ${load.answers}`);
    assert.ok(await wide.locator('tbody tr').count() > 30);
  });

  await check('it fits a phone, and is dark where that is wanted', async () => {
    const phone = await open({viewport: {width: 360, height: 780}, colorScheme: 'dark', isMobile: true, hasTouch: true});
    await phone.locator('.tiles [data-name="requests a second"]').waitFor();
    await new Promise((done) => setTimeout(done, 2500));
    const widest = await phone.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(widest <= 360, `it is ${widest} pixels wide`);
    const [back, text] = await phone.evaluate(() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]);
    const light = (color) => color.match(/\d+/g).slice(0, 3).reduce((sum, each) => sum + Number(each), 0);
    assert.ok(light(back) < 150 && light(text) > 500, `${text} on ${back}`);
    await phone.screenshot({path: `${pictures}/phone-dark.png`, fullPage: true});
    await phone.context().close();
  });
  await wide.screenshot({path: `${pictures}/wide-light.png`, fullPage: true});

  await check('what a screen reader is told', async () => {
    assert.equal(await wide.getByRole('heading', {level: 1}).count(), 1);
    assert.equal(await wide.getByRole('status').count(), 1);
    for (const chart of await wide.getByRole('img').all()) assert.ok(await chart.getAttribute('aria-label'));
    for (const head of await wide.locator('th').all()) assert.ok(await head.getAttribute('scope'));
  });

  assert.deepEqual(complaints, []);

  await check('it lives through a restart of the server', async () => {
    load.stop();
    await end(server, 'SIGKILL');
    await wide.locator('#link', {hasText: 'no answer'}).waitFor();
    server = await within(start(server.service, server.monitor), 'the next server');
    await wide.locator('#link', {hasText: 'live'}).waitFor();
    load = new Load(server.service, 200);
    await wide.waitForFunction(() => {
      const rate = Number(document.querySelector('.tiles [data-name="requests a second"] dd').textContent);
      return rate > 150 && rate < 250;
    });
  });

  // The browser itself reports that the server was not reachable.
  assert.deepEqual(complaints.filter((text) => !text.includes('ERR_')), []);
  assert.deepEqual([...strangers], []);
} finally {
  load?.stop();
  await browser.close();
}
assert.equal(await end(server), 0);
console.log(`screenshots: ${pictures}`);
