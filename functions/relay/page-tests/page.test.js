// The page in a real browser against a running server: see README.md.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { chromium } from 'playwright-core';

const BASE = process.env.BASE_URL ?? 'http://127.0.0.1:8000';
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
const PATIENCE = 20_000;
const HOSTILE = '<img/src=x/onerror=window.pwned=1>';

let browser;
before(async () => {
  // A simulation that an interrupted run left behind would move the counters.
  await fetch(`${BASE}/api/simulation/stop`, { method: 'POST' });
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

/** Asks again and again until it is true, at most for `patience` milliseconds. */
async function until(condition, what, patience = 40_000) {
  for (const deadline = Date.now() + patience; Date.now() < deadline;) {
    const found = await condition();
    if (found) return found;
    await setTimeout(50);
  }
  return assert.fail(`no ${what} within ${patience} ms`);
}

/** Posts failed logins from an address, enough for a threat. */
async function attack(address, user = 'root') {
  const time = new Date().toLocaleString('en-US', { month: 'short', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone: 'UTC' }).replace(',', '').replace(/^(\w+) 0/, '$1  ');
  const lines = Array.from({ length: 40 }, (_, i) => `${time} web-1 sshd[4242]: Failed password for invalid user ${user} from ${address} port ${40000 + i} ssh2`);
  const answer = await fetch(`${BASE}/api/events`, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: lines.join('\n') });
  assert.equal(answer.status, 202, await answer.text());
}
// A source nobody used before: what a test sees is of its own making, however often it ran on the same data.
const address = () => `45.${Math.floor(Math.random() * 256)}.${Math.floor(Math.random() * 256)}.${1 + Math.floor(Math.random() * 254)}`;
const rowOf = (page, ip) => page.locator('#threats > li', { has: page.locator('.source').getByText(ip, { exact: true }) }).first();
const ask = async (path) => {
  const answer = await fetch(`${BASE}${path}`);
  assert.equal(answer.status, 200, path);
  return answer.json();
};
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
  // The counters of what came before must have settled, or they would be taken for ours.
  const before = await page.waitForFunction(async () => {
    const stats = await (await fetch('/api/analytics/dashboard')).json();
    const read = (id) => Number(document.getElementById(id).textContent.replace(/[^0-9]/g, '') || 0);
    return read('c-processed') === stats.processed && read('c-threats') === stats.threats_detected && { processed: stats.processed, threats: stats.threats_detected };
  }, null, { timeout: PATIENCE, polling: 250 }).then((handle) => handle.jsonValue());
  const source = address();
  await attack(source);
  await sourceShown(page, source);
  await page.waitForFunction(({ processed, threats }) => {
    const read = (id) => Number(document.getElementById(id).textContent.replace(/[^0-9]/g, '') || 0);
    return read('c-processed') >= processed + 40 && read('c-threats') > threats;
  }, before, { timeout: PATIENCE });
  const { threats } = await ask(`/api/threats/recent?source_ip=${source}`);
  assert.match(await rowOf(page, source).innerText(), new RegExp(`\\b(${threats.map((threat) => threat.severity).join('|')})\\b`));
  await page.waitForFunction(() => Number(document.getElementById('risk-value').textContent) > 0, null, { timeout: PATIENCE });
  await page.locator('#alerts > li').filter({ hasText: source }).first().waitFor({ timeout: PATIENCE });
  assert.deepEqual(complaints, []);
  await context.close();
});

test('the filter finds, and pausing holds the list still', async () => {
  const { page, context, complaints } = await open();
  const [source, later] = [address(), address()];
  await attack(source);
  await sourceShown(page, source);
  await page.fill('#find', source);
  await page.waitForFunction((ip) => [...document.querySelectorAll('#threats .source')].every((cell) => cell.textContent === ip), source, { timeout: PATIENCE });
  assert.ok(await page.locator('#threats > li').count() > 0);
  await page.fill('#find', 'no such thing anywhere');
  await page.waitForSelector('#filtered:visible', { timeout: PATIENCE });
  await page.fill('#find', '');
  await sourceShown(page, source);
  await page.click('#pause');
  await attack(later);
  await page.waitForFunction(() => /\([0-9]+ new\)/.test(document.getElementById('pause').textContent), null, { timeout: PATIENCE });
  assert.equal(await rowOf(page, later).count(), 0, 'it came while paused');
  await page.click('#pause');
  await sourceShown(page, later);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('an alert is acknowledged and closed by the keyboard, for everybody', async () => {
  const { page, context, complaints } = await open();
  const other = await open();
  const source = address();
  await attack(source);
  const alert = (where) => where.locator('#alerts > li').filter({ hasText: source });
  await alert(page).first().waitFor({ timeout: PATIENCE });
  await alert(other.page).first().waitFor({ timeout: PATIENCE });
  await page.fill('#analyst', 'ada');
  const { threats } = await ask(`/api/threats/recent?source_ip=${source}`);
  const ours = async () => (await ask('/api/alerts?limit=500')).alerts.filter((one) => one.threat_ids.some((id) => threats.some((threat) => threat.id === id)));
  await alert(page).first().getByRole('button', { name: 'Acknowledge' }).press('Enter');
  await alert(page).filter({ hasText: 'acknowledged by ada' }).waitFor({ timeout: PATIENCE });
  await alert(other.page).filter({ hasText: 'acknowledged by ada' }).waitFor({ timeout: PATIENCE });
  assert.ok((await ours()).some((one) => one.status === 'ACKNOWLEDGED' && one.acknowledged_by === 'ada'));
  const acknowledged = alert(page).filter({ hasText: 'acknowledged by ada' });
  await page.waitForFunction(() => document.activeElement?.textContent === 'Resolve', null, { timeout: PATIENCE });
  await acknowledged.getByRole('button', { name: 'False positive' }).press('Enter');
  await acknowledged.waitFor({ state: 'detached', timeout: PATIENCE });
  await alert(other.page).filter({ hasText: 'acknowledged by ada' }).waitFor({ state: 'detached', timeout: PATIENCE });
  assert.ok((await ours()).some((one) => one.status === 'FALSE_POSITIVE' && one.resolved_by === 'ada'));
  assert.equal(await page.isVisible('#alerts-error'), false);
  assert.deepEqual([...complaints, ...other.complaints], []);
  await context.close();
  await other.context.close();
});

test('hostile text stays text', async () => {
  const { page, context, complaints } = await open();
  const source = address();
  await attack(source, HOSTILE);
  await sourceShown(page, source);
  // It has to be there to be harmless: in the evidence and the originals, unfolded by the keyboard.
  await rowOf(page, source).locator('summary').press('Enter');
  await rowOf(page, source).locator('pre').filter({ hasText: HOSTILE }).waitFor({ timeout: PATIENCE });
  assert.ok((await rowOf(page, source).locator('.inside').innerText()).split(HOSTILE).length > 2, 'not in the evidence');
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
  // It is there before the page comes back: only what was missed can bring it.
  await until(async () => (await ask(`/api/threats/recent?source_ip=${source}`)).threats.length > 0, 'threat in the store');
  assert.equal(await rowOf(page, source).count(), 0, 'the page was not cut');
  const known = frames.length;
  cut = false;
  await live(page);
  await sourceShown(page, source);
  assert.ok(!frames.slice(known).some((frame) => frame.type === 'initial_state'), 'it was given the whole state again');
  assert.ok(frames.some((frame) => frame.type === 'resumed'), 'it started anew instead');
  const seqs = frames.filter((frame) => frame.seq && frame.type !== 'resumed').map((frame) => frame.seq);
  assert.deepEqual(seqs, [...new Set(seqs)].sort(), 'frames came twice or out of order');
  await context.close();
  proxy.close();
});

test('a simulation starts and stops by its buttons', async () => {
  const { page, context, complaints, frames } = await open();
  await page.waitForSelector('#start:enabled', { timeout: PATIENCE });
  await page.selectOption('#vector', 'BRUTE_FORCE');
  const started = page.waitForResponse((answer) => answer.url().endsWith('/api/simulation/start'));
  const from = frames.length;
  await page.click('#start');
  const { simulation_id: id } = await (await started).json();
  await page.waitForSelector('#stop:enabled', { timeout: PATIENCE });
  await page.waitForSelector('#sim-progress:visible', { timeout: PATIENCE });
  // The answer to the button counts no events yet: these come over the socket.
  await page.locator('#sim-state').filter({ hasText: /BRUTE_FORCE is running: [1-9][0-9,]* event/ }).waitFor({ timeout: PATIENCE });
  // A threat of this run, not of one before.
  const shown = await until(async () => {
    const fresh = frames.slice(from).find((frame) => frame.type === 'new_threat' && frame.data.simulated);
    return fresh && (await rowOf(page, fresh.data.source_ip).locator('.tag.simulated').count()) > 0 && fresh.data;
  }, 'a simulated threat on the page');
  assert.equal(shown.threat_type, 'BRUTE_FORCE');
  assert.equal((await ask('/api/simulation/state')).simulation_id, id);
  await page.click('#stop');
  await page.waitForSelector('#start:enabled', { timeout: PATIENCE });
  await page.locator('#sim-state').filter({ hasText: 'BRUTE_FORCE was stopped after' }).waitFor({ timeout: PATIENCE });
  assert.equal((await ask('/api/simulation/state')).status, 'STOPPED');
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
