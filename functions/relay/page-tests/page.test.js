// The page in a real browser against a running server: see README.md.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const BASE = process.env.BASE_URL ?? 'http://127.0.0.1:8000';
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
const PATIENCE = 20_000;
const HOSTILE = '<img/src=x/onerror=window.pwned=1>';

let browser;
before(async () => {
  assert.ok(existsSync(EXECUTABLE), `${EXECUTABLE} is not there; set CHROMIUM`);
  browser = await chromium.launch({ executablePath: EXECUTABLE, args: ['--no-sandbox'] });
});
after(() => browser?.close());

/** Opens the page, and collects whatever the browser complains about. */
async function open(base = BASE, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
  const page = await context.newPage();
  const complaints = [];
  const frames = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`));
  page.on('websocket', (socket) => {
    socket.on('framereceived', ({ payload }) => frames.push(JSON.parse(payload)));
  });
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
  });
  const response = await page.goto(`${base}/`, { waitUntil: 'load' });
  assert.equal(response.status(), 200);
  await live(page);
  return { page, context, complaints, frames, response };
}

const live = (page) => page.waitForSelector('#link[data-state=live]', { timeout: PATIENCE });
const counter = async (page, id) => Number((await page.textContent(`#${id}`)).replace(/[^0-9]/g, '') || 0);

/** Posts failed logins from an address, enough for a threat. */
async function attack(address, user = 'root') {
  const time = new Date().toLocaleString('en-US', { month: 'short', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone: 'UTC' }).replace(',', '').replace(/^(\w+) 0/, '$1  ');
  const lines = Array.from({ length: 40 }, (_, i) => `${time} web-1 sshd[4242]: Failed password for invalid user ${user} from ${address} port ${40000 + i} ssh2`);
  const answer = await fetch(`${BASE}/api/events`, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: lines.join('\n') });
  assert.equal(answer.status, 202, await answer.text());
}
const address = () => `198.51.${100 + Math.floor(Math.random() * 100)}.${1 + Math.floor(Math.random() * 250)}`;
const sourceShown = (page, ip) => page.waitForFunction((ip) => [...document.querySelectorAll('#threats .source')].some((cell) => cell.textContent === ip), ip, { timeout: PATIENCE });

test('the page loads alone, live, and without a complaint', async () => {
  const { page, context, complaints, response } = await open();
  assert.match(response.headers()['content-security-policy'], /default-src 'none'/);
  assert.deepEqual(await page.evaluate(() => window.violations), []);
  assert.deepEqual(complaints, []);
  const elsewhere = await page.evaluate(() => performance.getEntriesByType('resource').map((entry) => entry.name).filter((name) => !name.startsWith(location.origin) && !name.startsWith('data:')));
  assert.deepEqual(elsewhere, []);
  const unnamed = await page.$$eval('button, select, input', (all) => all.filter((one) => !one.textContent.trim() && !one.labels?.length && !one.ariaLabel).length);
  assert.equal(unnamed, 0, 'a control has no name');
  await context.close();
});

test('threats and counters follow what is posted', async () => {
  const { page, context, complaints } = await open();
  const before = { processed: await counter(page, 'c-processed'), threats: await counter(page, 'c-threats') };
  const source = address();
  await attack(source);
  await sourceShown(page, source);
  await page.waitForFunction(({ processed, threats }) => {
    const read = (id) => Number(document.getElementById(id).textContent.replace(/[^0-9]/g, '') || 0);
    return read('c-processed') >= processed + 40 && read('c-threats') > threats;
  }, before, { timeout: PATIENCE });
  await page.waitForFunction(() => document.querySelectorAll('#alerts > li').length > 0, null, { timeout: PATIENCE });
  assert.deepEqual(complaints, []);
  await context.close();
});

test('hostile text stays text', async () => {
  const { page, context, complaints } = await open();
  const source = address();
  await attack(source, HOSTILE);
  await sourceShown(page, source);
  const inert = await page.evaluate(() => ({ pwned: window.pwned ?? null, images: document.images.length, scripts: document.scripts.length, violations: window.violations }));
  assert.deepEqual(inert, { pwned: null, images: 0, scripts: 1, violations: [] });
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a cut connection comes back and goes on where it was', async () => {
  const target = new URL(BASE);
  const open_ = new Set();
  let cut = false;
  const proxy = net.createServer((client) => {
    if (cut) return client.destroy();
    const server = net.connect(Number(target.port || 80), target.hostname);
    for (const [one, other] of [[client, server], [server, client]]) {
      open_.add(one);
      one.on('error', () => {});
      one.on('close', () => { open_.delete(one); other.destroy(); });
      one.pipe(other);
    }
  });
  await new Promise((resolve) => { proxy.listen(0, '127.0.0.1', resolve); });
  const { page, context, frames } = await open(`http://127.0.0.1:${proxy.address().port}`);
  cut = true;
  open_.forEach((socket) => socket.destroy());
  await page.waitForSelector('#link[data-state=offline]', { timeout: PATIENCE });
  const source = address();
  await attack(source);
  cut = false;
  await live(page);
  await sourceShown(page, source);
  assert.ok(frames.some((frame) => frame.type === 'resumed'), 'it started anew instead');
  const seqs = frames.filter((frame) => frame.seq && frame.type !== 'resumed').map((frame) => frame.seq);
  assert.deepEqual(seqs, [...new Set(seqs)].sort(), 'frames came twice or out of order');
  await context.close();
  proxy.close();
});

test('a simulation starts and stops by its buttons', async () => {
  const { page, context, complaints } = await open();
  await page.waitForSelector('#start:enabled', { timeout: PATIENCE });
  await page.selectOption('#vector', 'BRUTE_FORCE');
  await page.click('#start');
  await page.waitForSelector('#stop:enabled', { timeout: PATIENCE });
  await page.waitForSelector('#threats .tag', { timeout: 40_000 });
  await page.click('#stop');
  await page.waitForSelector('#start:enabled', { timeout: PATIENCE });
  assert.equal(await page.isVisible('#sim-error'), false);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('it fits a telephone, in light and in dark', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const { page, context, complaints } = await open(BASE, { viewport: { width: 375, height: 800 }, colorScheme });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(overflow <= 0, `${overflow} px too wide`);
    assert.deepEqual(complaints, []);
    await context.close();
  }
});
