'use strict';
(() => {
  const byId = (id) => document.getElementById(id);
  const api = document.querySelector('meta[name=threatstream-api]').content;
  const SEVERITIES = ['INFO', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL'];
  const SHOWN = 100;
  const numbers = new Intl.NumberFormat('en');

  const threats = new Map();
  const alerts = new Map();
  const closed = new Set();
  const rows = { threats: new Map(), alerts: new Map() };
  let openBeyond = false;
  let timeline = [];
  let dirty = new Set();
  let paused = false;
  let unseen = 0;
  let unspoken = 0;
  let worst = 0;
  const fresh = new Set();

  // Logs are hostile: whatever came over the socket enters the document as text or a label, never as markup, and steers the style only from closed sets.
  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined && text !== null) made.textContent = String(text).slice(0, 2000);
    return made;
  };
  const severityOf = (item) => (SEVERITIES.includes(item.severity) ? item.severity : 'INFO');
  const plural = (count, one) => `${numbers.format(count)} ${one}${count === 1 ? '' : 's'}`;
  const cut = (text, length) => (text.length > length ? `${text.slice(0, length)}…` : text);
  const spoken = (name) => String(name ?? '').replaceAll('_', ' ').toLowerCase();
  const clock = (time) => {
    const at = new Date(time);
    return Number.isNaN(at.getTime()) ? '' : at.toLocaleTimeString('en-GB');
  };
  const dated = (time) => {
    const at = new Date(time);
    return Number.isNaN(at.getTime()) ? '' : at.toLocaleString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', timeZoneName: 'short' });
  };
  const span = (milliseconds) => {
    const minutes = Math.floor(Math.abs(milliseconds) / 60000);
    if (minutes < 1) return 'a moment';
    if (minutes < 120) return `${minutes} min`;
    return minutes < 2880 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} days`;
  };
  const badge = (item) => element('span', 'sev', severityOf(item));

  // Rows stay the same elements while what they show changes, so that focus, selection and what was unfolded survive an update.
  function fill(name, items, make) {
    const list = byId(name);
    const known = rows[name];
    const wanted = new Set(items.map((item) => item.id));
    for (const [id, row] of known) {
      if (wanted.has(id)) continue;
      if (row.contains(document.activeElement)) byId(list.dataset.title).focus();
      row.remove();
      known.delete(id);
    }
    let next = list.firstElementChild;
    for (const item of items) {
      let row = known.get(item.id);
      if (!row) known.set(item.id, row = make(item.id));
      if (row.shown !== item || row.aging) row.show(item);
      row.shown = item;
      if (row === next) next = next.nextElementSibling;
      else list.insertBefore(row, next);
    }
  }
  function sought(threat) {
    const find = byId('find').value.trim().toLowerCase();
    if (!find) return true;
    return [threat.description, threat.source_ip, threat.user, threat.host, threat.threat_type, threat.mitre_attack_id, threat.mitre_attack_name, threat.source_country, threat.id]
      .some((value) => String(value ?? '').toLowerCase().includes(find));
  }

  // Drawing: at most a few times a second, whatever the socket brings.
  const draw = {
    threats() {
      byId('pause').textContent = paused ? `Resume${unseen ? ` (${numbers.format(unseen)} new)` : ''}` : 'Pause';
      byId('nothing').hidden = threats.size > 0;
      if (paused) return;
      unseen = 0;
      const least = Number(byId('severity').value);
      const items = [...threats.values()].filter((threat) => SEVERITIES.indexOf(severityOf(threat)) >= least && sought(threat)).slice(-SHOWN).reverse();
      fill('threats', items, threatRow);
      fresh.clear();
      byId('filtered').hidden = items.length > 0 || threats.size === 0;
      byId('filtered').textContent = `None of the latest ${plural(threats.size, 'threat')} fits this filter.`;
    },
    alerts() {
      const open = [...alerts.values()];
      const rank = (alert) => `${alert.priority}${alert.simulated ? 1 : 0}`;
      // By what does not change while an alert grows: a row does not jump away from under the pointer.
      open.sort((a, b) => (rank(a) !== rank(b) ? (rank(a) < rank(b) ? -1 : 1) : String(a.created_at) < String(b.created_at) ? 1 : -1));
      fill('alerts', open.slice(0, SHOWN), alertRow);
      const count = `${numbers.format(open.length)}${openBeyond ? '+' : ''}`;
      byId('alerts-count').textContent = count;
      byId('c-open').textContent = `${count} open`;
      byId('no-alerts').hidden = open.length > 0;
      byId('more-alerts').hidden = open.length <= SHOWN;
      byId('more-alerts').textContent = `The first ${SHOWN} are shown; close some to see more, or ask /api/alerts/active.`;
    },
    timeline() {
      const points = timeline.filter((point) => Number.isFinite(point.at) && Number.isFinite(point.risk));
      if (points.length === 0) return;
      const to = points[points.length - 1].at;
      const from = to - 3600000;
      const inside = points.filter((point) => point.at >= from);
      const steps = inside.map((point) => `${(((point.at - from) / 3600000) * 600).toFixed(1)} ${(137.5 - point.risk * 1.275).toFixed(1)}`);
      const first = steps[0].split(' ')[0];
      byId('timeline-line').setAttribute('d', `M${steps.join('L')}`);
      byId('timeline-area').setAttribute('d', `M${steps.join('L')}L600 138L${first} 138Z`);
      byId('timeline-from').textContent = clock(from);
      byId('timeline-to').textContent = clock(to);
      byId('timeline-said').textContent = `highest ${Math.max(...inside.map((point) => point.risk))}, now ${inside[inside.length - 1].risk}`;
    },
  };
  let drawing = false;
  const touch = (part) => {
    dirty.add(part);
    if (drawing) return;
    drawing = true;
    setTimeout(() => {
      drawing = false;
      const parts = dirty;
      dirty = new Set();
      parts.forEach((name) => draw[name]());
    }, 100);
  };

  function threatRow(id) {
    const row = element('li');
    const fold = element('details');
    const line = element('summary');
    const inside = element('div', 'inside');
    fold.append(line, inside);
    row.append(fold);
    row.show = (threat) => {
      row.dataset.severity = severityOf(threat);
      row.className = fresh.has(id) ? 'fresh' : '';
      const time = element('time', 'row-time', clock(threat.analyzed_at ?? threat.timestamp));
      time.title = `analysed ${dated(threat.analyzed_at)}; event of ${dated(threat.timestamp)}`;
      const what = element('span', 'what', cut(String(threat.description ?? ''), 300));
      const late = Math.abs(Date.parse(threat.analyzed_at) - Date.parse(threat.timestamp)) > 3600000;
      const meta = [
        spoken(threat.threat_type), cut(String(threat.mitre_attack_name ?? ''), 80), Number(threat.event_count) > 0 ? plural(Number(threat.event_count), 'event') : '',
        threat.source_country ?? '', late ? `happened ${dated(threat.timestamp)}` : '',
      ];
      const more = element('span', 'meta', meta.filter(Boolean).join(' · '));
      if (threat.simulated) more.append(' ', element('span', 'tag simulated', 'simulated'));
      if (threat.auto_blocked) more.append(' ', element('span', 'tag blocked', 'blocked'));
      what.append(more);
      const technique = element('span', 'technique', threat.mitre_attack_id ?? '');
      const grid = element('span', 'line');
      grid.append(badge(threat), time, element('span', 'source', threat.source_ip ?? threat.user ?? threat.host ?? '—'), what, technique);
      line.replaceChildren(grid);
      if (fold.open) unfold(threat, inside);
    };
    fold.ontoggle = () => {
      if (fold.open) unfold(threats.get(id) ?? row.shown, inside);
      else inside.replaceChildren();
    };
    return row;
  }

  // What made the threat: reasons, evidence, and the originals as they were sent.
  function unfold(threat, inside) {
    const texts = (value) => (Array.isArray(value) ? value.slice(0, 40).map((text) => element('span', null, text)) : []);
    const facts = [
      ['Why', texts([threat.contextual_analysis].filter(Boolean))],
      ['Do next', texts(threat.recommended_actions)],
      ['Evidence', texts((threat.evidence ?? []).map((piece) => `${piece.field} = ${cut(String(piece.value), 600)}`))],
      ['Risk', texts([`${threat.risk_score} of 100, confidence ${Math.round(Number(threat.confidence) * 100)} %, by ${threat.audit_ref}`])],
      ['Where', texts([[threat.user && `user ${threat.user}`, threat.host && `host ${threat.host}`, threat.destination_ip && `to ${threat.destination_ip}`].filter(Boolean).join(', ')].filter(Boolean))],
      ['Known as', texts([threat.id, ...(threat.rule_ids ?? []).map((rule) => `rule ${rule}`)])],
    ];
    const list = element('dl');
    const add = (name, values) => {
      const value = element('dd');
      value.append(...values);
      list.append(element('dt', null, name), value);
    };
    facts.filter(([, values]) => values.length > 0).forEach(([name, values]) => add(name, values));
    inside.replaceChildren(list);
    const originals = element('pre', null, 'Loading…');
    add('Originals', [originals]);
    fetch(`${api}/api/threats/${encodeURIComponent(threat.id)}/events`, { headers: authorised() })
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`the server answered ${answer.status}`))))
      .then((said) => { originals.textContent = said.events.map((event) => (typeof event.raw === 'string' ? event.raw : JSON.stringify(event.raw ?? event))).join('\n').slice(0, 20000) || 'None are kept'; })
      .catch((error) => { originals.textContent = `Not loaded: ${error.message}`; });
  }

  function alertRow(id) {
    const row = element('li');
    const parts = Object.fromEntries(['sev', 'title', 'about', 'more'].map((name) => [name, element('span', name)]));
    const actions = element('span', 'actions');
    const buttons = [['acknowledge', 'Acknowledge'], ['resolve', 'Resolve', 'RESOLVED'], ['resolve', 'False positive', 'FALSE_POSITIVE']].map(([action, text, resolution]) => {
      const button = element('button', null, text);
      button.type = 'button';
      button.onclick = () => decide(alerts.get(id), action, resolution, buttons);
      return button;
    });
    actions.append(...buttons);
    row.append(...Object.values(parts), actions);
    row.aging = true;
    row.show = (alert) => {
      row.dataset.severity = severityOf(alert);
      parts.sev.textContent = /^P[1-4]$/.test(alert.priority) ? alert.priority : '—';
      parts.sev.title = severityOf(alert);
      parts.title.textContent = cut(String(alert.title ?? ''), 200);
      if (alert.simulated) parts.title.append(' ', element('span', 'tag simulated', 'simulated'));
      parts.about.textContent = cut(String(alert.description ?? ''), 200);
      const due = Date.parse(alert.due_at) - Date.now();
      const handled = alert.status === 'NEW' ? 'new' : `${spoken(alert.status)} by ${alert.assigned_to ?? alert.acknowledged_by ?? '?'}`;
      const more = [severityOf(alert).toLowerCase(), plural(Number(alert.event_count) || 0, 'event'), `opened ${span(Date.now() - Date.parse(alert.created_at))} ago`, handled];
      parts.more.textContent = cut(more.join(' · '), 200);
      if (Number.isFinite(due)) parts.more.append(' · ', element('span', due < 0 ? 'overdue' : null, due < 0 ? `overdue by ${span(due)}` : `due in ${span(due)}`));
      if (buttons[0].hidden !== (alert.status !== 'NEW')) buttons[0].hidden = alert.status !== 'NEW';
      for (const button of buttons) button.ariaLabel = `${button.textContent}: ${parts.title.textContent}`;
    };
    return row;
  }

  async function decide(alert, action, resolution, buttons) {
    if (!alert) return;
    const acted = document.activeElement;
    buttons.forEach((button) => { button.disabled = true; });
    // With a token the api knows who acts, and takes nobody else's name.
    const who = sessionStorage.getItem('threatstream-token') ? {} : { analyst_id: byId('analyst').value.trim() || 'analyst' };
    const body = { ...who, ...(resolution ? { resolution } : {}) };
    // The version that was looked at: what a colleague did meanwhile is not overwritten.
    const done = await post(`alerts/${encodeURIComponent(alert.id)}/${action}`, body, 'alerts-error', Number.isFinite(alert.version) ? { 'if-match': `"${alert.version}"` } : {});
    buttons.forEach((button) => { button.disabled = false; });
    if (done?.id) putAlert(done);
    const goOn = done && action === 'acknowledge' ? buttons[1] : acted;
    if (goOn?.isConnected) goOn.focus();
  }

  let measured = null;
  function showMetrics(stats) {
    const show = (id, value) => {
      byId(id).textContent = Number.isFinite(value) ? numbers.format(value) : '—';
    };
    show('c-processed', stats.processed);
    show('c-threats', stats.threats_detected);
    show('c-critical', stats.critical);
    show('c-alerts', stats.alerts_generated);
    show('c-blocked', stats.blocked);
    byId('c-critical').classList.toggle('some', stats.critical > 0);
    if (measured && stats.processed >= measured.processed) {
      const rate = ((stats.processed - measured.processed) * 1000) / Math.max(1, Date.now() - measured.at);
      if (Date.now() - measured.at > 500) byId('rate').textContent = `${numbers.format(Math.round(rate))} a second`;
    }
    measured = { processed: stats.processed, at: Date.now() };
    const mean = stats.avg_detect_time;
    byId('c-detect').textContent = Number.isFinite(mean) ? `${mean < 10 ? mean.toFixed(1) : numbers.format(Math.round(mean))} ms` : '—';
  }

  function showRisk(risk) {
    const value = Math.max(0, Math.min(100, Number(risk.value) || 0));
    const levels = ['NORMAL', 'ELEVATED', 'SUSPICIOUS', 'CRITICAL'];
    const trends = { RISING: '↑ rising', FALLING: '↓ falling', STABLE: '→ stable' };
    document.querySelector('.gauge').dataset.level = levels.includes(risk.level) ? risk.level : 'NORMAL';
    byId('gauge').setAttribute('stroke-dasharray', `${value} 100`);
    byId('risk-value').textContent = value;
    byId('risk-level').textContent = risk.level ?? '';
    byId('risk-trend').textContent = trends[risk.trend] ?? '';
  }

  function showSimulation(state) {
    simulation = state;
    const running = state.status === 'RUNNING';
    const made = plural(state.events_generated ?? 0, 'event');
    const parts = {
      IDLE: () => 'None has run',
      RUNNING: () => `${state.attack_vector} is running: ${made}, ${state.elapsed_seconds ?? 0} of ${state.duration_seconds ?? '?'} s`,
      COMPLETED: () => `${state.attack_vector} has run: ${made}`,
      STOPPED: () => `${state.attack_vector} was stopped after ${made}`,
    };
    byId('sim-state').textContent = (parts[state.status] ?? (() => ''))();
    byId('sim-progress').hidden = !running;
    byId('sim-progress').max = state.duration_seconds || 60;
    byId('sim-progress').value = state.elapsed_seconds || 0;
    byId('start').disabled = running || !scenarios.enabled;
    byId('stop').disabled = !running;
  }
  let simulation = { status: 'IDLE' };
  let scenarios = { enabled: true, scenarios: [] };
  function aboutScenario() {
    const chosen = scenarios.scenarios.find((one) => one.attack_vector === byId('vector').value);
    byId('sim-about').textContent = scenarios.enabled ? chosen?.description ?? '' : 'Simulation is switched off on this server.';
  }
  async function loadScenarios() {
    const answer = await fetch(`${api}/api/simulation/scenarios`, { headers: authorised() });
    if (!answer.ok) return;
    const said = await answer.json();
    scenarios = { enabled: said.enabled !== false, scenarios: said.scenarios ?? [] };
    const chosen = byId('vector').value;
    const names = scenarios.scenarios.map((one) => one.attack_vector);
    if (names.length > 0) {
      byId('vector').replaceChildren(...names.map((name) => Object.assign(element('option', null, name), { value: name })));
      byId('vector').value = names.includes(chosen) ? chosen : names[0];
    }
    aboutScenario();
    showSimulation(simulation);
  }
  // The socket brings the newest alerts; the older ones that still are open come from the api.
  async function loadAlerts() {
    const answer = await fetch(`${api}/api/alerts/active?limit=500`, { headers: authorised() });
    if (!answer.ok) return;
    const said = await answer.json();
    (said.alerts ?? []).filter((alert) => !alerts.has(alert.id) && !closed.has(alert.id)).forEach(putAlert);
    openBeyond = Boolean(said.next_cursor);
    touch('alerts');
  }

  // What the socket brings. Everything is applied by id: being told twice changes nothing.
  function putThreat(threat, isNew) {
    if (!threat || typeof threat.id !== 'string') return;
    if (isNew && !threats.has(threat.id)) {
      fresh.add(threat.id);
      unseen += 1;
      unspoken += 1;
      worst = Math.max(worst, SEVERITIES.indexOf(severityOf(threat)));
    }
    threats.set(threat.id, threat);
    if (threats.size > 4 * SHOWN) threats.delete(threats.keys().next().value);
    touch('threats');
  }
  function putAlert(alert) {
    if (!alert || typeof alert.id !== 'string') return;
    if (alert.status === 'RESOLVED' || alert.status === 'FALSE_POSITIVE') {
      alerts.delete(alert.id);
      closed.add(alert.id);
      if (closed.size > 20 * SHOWN) closed.delete(closed.keys().next().value);
    } else if (!(alerts.get(alert.id)?.version > alert.version)) {
      alerts.set(alert.id, alert);
      closed.delete(alert.id);
    }
    if (alerts.size > 20 * SHOWN) alerts.delete(alerts.keys().next().value);
    touch('alerts');
  }
  const point = (step) => ({ at: Date.parse(step.timestamp), risk: Number(step.risk) });
  const handlers = {
    initial_state(data) {
      threats.clear();
      alerts.clear();
      closed.clear();
      [...(data.threats ?? [])].reverse().forEach((threat) => putThreat(threat, false));
      (data.alerts ?? []).forEach(putAlert);
      timeline = (data.risk_timeline ?? []).map(point);
      if (data.risk_index) showRisk(data.risk_index);
      if (data.dashboard_stats) showMetrics(data.dashboard_stats);
      if (data.simulation) showSimulation(data.simulation);
      ['threats', 'alerts', 'timeline'].forEach(touch);
      // Without them the page says less; the next state asks again.
      openBeyond = false;
      if ((data.alerts ?? []).length >= 50) loadAlerts().catch(() => {});
      if (scenarios.scenarios.length === 0) loadScenarios().catch(() => {});
    },
    new_threat: (data) => putThreat(data, true),
    threat_update: (data) => putThreat(data, false),
    new_alert: putAlert,
    alert_update: putAlert,
    metrics_update: showMetrics,
    risk_update: showRisk,
    risk_timeline_update(data) {
      timeline.push(point(data));
      if (timeline.length > 900) timeline = timeline.slice(-800);
      touch('timeline');
    },
    simulation_update: showSimulation,
  };

  // The socket: it comes back by itself, and goes on where it was cut.
  let socket = null;
  let place = null;
  let attempts = 0;
  let heardAt = 0;
  let token = sessionStorage.getItem('threatstream-token');
  const linked = (state, text) => {
    byId('link').dataset.state = state;
    byId('link-text').textContent = text;
  };
  const authorised = (headers = {}) => (token ? { ...headers, authorization: `Bearer ${token}` } : headers);

  async function protocols() {
    if (!token) return [];
    const answer = await fetch(`${api}/api/ws-ticket`, { method: 'POST', headers: authorised() });
    if (answer.status === 401 || answer.status === 403) throw Object.assign(new Error('unauthorised'), { login: true });
    if (!answer.ok) throw new Error(`no ticket: ${answer.status}`);
    return ['threatstream.v1', `ticket.${(await answer.json()).ticket}`];
  }
  async function mustLogIn() {
    try {
      return (await fetch(`${api}/api/analytics/risk-index`, { headers: authorised() })).status === 401;
    } catch {
      return false;
    }
  }
  function askToken() {
    linked('offline', 'Access token needed');
    byId('login-problem').hidden = !token;
    token = null;
    sessionStorage.removeItem('threatstream-token');
    if (!byId('login').open) byId('login').showModal();
  }
  function again() {
    const wait = Math.min(15000, 500 * 2 ** Math.min(attempts, 5)) * (0.5 + Math.random() / 2);
    attempts += 1;
    linked('offline', heardAt ? `Reconnecting, last heard ${clock(heardAt)}` : 'No connection, trying again');
    setTimeout(connect, wait);
  }
  async function connect() {
    let offered;
    try {
      offered = await protocols();
    } catch (error) {
      if (error.login) askToken();
      else again();
      return;
    }
    const url = new URL('/ws/live', location.href);
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const opened = new WebSocket(url, offered);
    let wasOpen = false;
    socket = opened;
    opened.onopen = () => {
      wasOpen = true;
      heardAt = Date.now();
      opened.send(JSON.stringify({ type: 'handshake', epoch: place?.epoch ?? null, ...(place ? { resume: place } : {}) }));
    };
    opened.onmessage = (message) => {
      heardAt = Date.now();
      let frame;
      try {
        frame = JSON.parse(message.data);
      } catch {
        return;
      }
      if (frame.type === 'resync') place = null;
      if (frame.type === 'initial_state' || frame.type === 'resumed') {
        attempts = 0;
        linked('live', 'Live');
      }
      if (Object.hasOwn(handlers, frame.type) && frame.data) handlers[frame.type](frame.data);
      if (typeof frame.seq === 'string' && typeof frame.epoch === 'string') place = { epoch: frame.epoch, seq: frame.seq };
    };
    opened.onclose = async () => {
      if (socket !== opened) return;
      socket = null;
      if (!wasOpen && (await mustLogIn())) askToken();
      else again();
    };
  }
  // A connection that died without a word: nothing was heard, and a ping is not answered either.
  setInterval(() => {
    if (!socket || socket.readyState !== WebSocket.OPEN) return;
    const silent = Date.now() - heardAt;
    if (silent > 60000) socket.close();
    else if (silent > 40000) socket.send('{"type":"ping"}');
  }, 10000);

  // What people do.
  async function post(path, body, problem, headers = {}) {
    byId(problem).hidden = true;
    try {
      const answer = await fetch(`${api}/api/${path}`, {
        method: 'POST', headers: authorised({ 'content-type': 'application/json', ...headers }), body: JSON.stringify(body),
      });
      const said = await answer.json().catch(() => ({}));
      if (answer.ok) return said;
      const fields = (said.errors ?? []).map((error) => `${error.field}: ${error.message}`);
      throw new Error([said.detail ?? `the server answered ${answer.status}`, ...fields].join('; '));
    } catch (error) {
      byId(problem).textContent = `Not done: ${error.message}`;
      byId(problem).hidden = false;
      return null;
    }
  }
  async function simulate(action, body = {}) {
    const said = await post(`simulation/${action}`, body, 'sim-error');
    if (said?.status) showSimulation(said);
  }
  byId('vector').onchange = aboutScenario;
  byId('analyst').value = localStorage.getItem('threatstream-analyst') ?? 'analyst';
  byId('analyst').onchange = () => localStorage.setItem('threatstream-analyst', byId('analyst').value.trim());
  byId('find').oninput = () => touch('threats');
  byId('start').onclick = () => simulate('start', { attack_vector: byId('vector').value, duration_seconds: 60, intensity: 'MEDIUM', target_eps: 20 });
  byId('stop').onclick = () => simulate('stop');
  byId('severity').onchange = () => touch('threats');
  byId('pause').onclick = () => {
    paused = !paused;
    byId('pause').setAttribute('aria-pressed', String(paused));
    unseen = 0;
    touch('threats');
  };
  byId('login-form').onsubmit = (event) => {
    event.preventDefault();
    token = byId('token').value.trim();
    sessionStorage.setItem('threatstream-token', token);
    byId('token').value = '';
    byId('login').close();
    linked('connecting', 'Connecting');
    connect();
  };
  const events = new URL('/api/events', api || location.href).href;
  const command = `for i in $(seq 20); do echo "$(date -u '+%b %e %T') web-1 sshd[4242]: Failed password for root from 203.0.113.7 port $((40000+i)) ssh2"; done | curl -sS ${events} -H 'content-type: text/plain' --data-binary @-`;
  for (const suffix of ['', '-2']) {
    byId(`command${suffix}`).textContent = command;
    const copy = byId(`copy${suffix}`);
    copy.onclick = async () => {
      try {
        await navigator.clipboard.writeText(command);
        copy.textContent = 'Copied';
      } catch {
        getSelection().selectAllChildren(byId(`command${suffix}`));
      }
      setTimeout(() => { copy.textContent = 'Copy'; }, 2000);
    };
  }
  byId('docs').href = `${api}/docs`;
  // Told to screen readers in one sentence now and then, not row by row.
  setInterval(() => {
    if (unspoken === 0) return;
    byId('spoken').textContent = `${numbers.format(unspoken)} new threat${unspoken === 1 ? '' : 's'}, the worst ${SEVERITIES[worst]}`;
    unspoken = 0;
    worst = 0;
  }, 5000);
  // Ages and what is due move on by themselves.
  setInterval(() => touch('alerts'), 30000);
  showSimulation(simulation);
  connect();
})();
