'use strict';
(() => {
  const byId = (id) => document.getElementById(id);
  const api = document.querySelector('meta[name=threatstream-api]').content;
  const SEVERITIES = ['INFO', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL'];
  const SHOWN = 100;
  const numbers = new Intl.NumberFormat('en');

  const threats = new Map();
  const alerts = new Map();
  let timeline = [];
  let dirty = new Set();
  let paused = false;
  let unspoken = 0;
  let worst = 0;
  const fresh = new Set();

  // Logs are hostile: whatever came over the socket enters the document as text, and as attributes only from closed sets.
  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined && text !== null) made.textContent = String(text).slice(0, 2000);
    return made;
  };
  const severityOf = (item) => (SEVERITIES.includes(item.severity) ? item.severity : 'INFO');
  const clock = (time) => {
    const at = new Date(time);
    return Number.isNaN(at.getTime()) ? '' : at.toLocaleTimeString('en-GB');
  };
  const badge = (item) => element('span', 'sev', severityOf(item));

  // Drawing: at most a few times a second, whatever the socket brings.
  const draw = {
    threats() {
      if (paused) return;
      const least = Number(byId('severity').value);
      const items = [...threats.values()].filter((threat) => SEVERITIES.indexOf(severityOf(threat)) >= least).slice(-SHOWN).reverse();
      byId('threats').replaceChildren(...items.map(threatRow));
      fresh.clear();
      byId('nothing').hidden = threats.size > 0;
    },
    alerts() {
      const open = [...alerts.values()].filter((alert) => alert.status !== 'RESOLVED' && alert.status !== 'FALSE_POSITIVE');
      open.sort((a, b) => (String(a.priority) < String(b.priority) ? -1 : String(a.priority) > String(b.priority) ? 1 : String(a.last_seen) < String(b.last_seen) ? 1 : -1));
      byId('alerts').replaceChildren(...open.slice(0, SHOWN).map(alertRow));
      byId('alerts-count').textContent = open.length;
      byId('no-alerts').hidden = open.length > 0;
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

  function threatRow(threat) {
    const row = element('li');
    row.dataset.severity = severityOf(threat);
    if (fresh.has(threat.id)) row.className = 'fresh';
    const time = element('time', 'row-time', clock(threat.analyzed_at ?? threat.timestamp));
    const kind = element('span', 'kind', String(threat.threat_type ?? '').replaceAll('_', ' '));
    const text = String(threat.description ?? '');
    const what = element('span', 'what', text.length > 300 ? `${text.slice(0, 300)}…` : text);
    if (text.length > 300) what.title = text.slice(0, 2000);
    if (threat.simulated) what.append(' ', element('span', 'tag', 'simulated'));
    if (threat.auto_blocked) what.append(' ', element('span', 'tag blocked', 'blocked'));
    const source = element('span', 'source', threat.source_ip ?? threat.user ?? threat.host ?? '—');
    const technique = element('span', 'technique', threat.mitre_attack_id ?? '');
    if (threat.mitre_attack_name) technique.title = String(threat.mitre_attack_name).slice(0, 200);
    row.append(badge(threat), time, source, what, technique);
    what.prepend(kind, ' ');
    return row;
  }

  function alertRow(alert) {
    const row = element('li');
    row.dataset.severity = severityOf(alert);
    const count = Number(alert.event_count);
    const more = [
      alert.priority, alert.status, Number.isFinite(count) ? `${numbers.format(count)} event${count === 1 ? '' : 's'}` : '',
      Array.isArray(alert.source_ips) ? alert.source_ips.slice(0, 3).join(', ') : '', clock(alert.last_seen),
    ];
    row.append(badge(alert), element('span', 'title', alert.title), element('span', 'more', more.filter(Boolean).join(' · ')));
    if (alert.simulated) row.lastChild.append(element('span', 'tag', 'simulated'));
    return row;
  }

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
    const running = state.status === 'RUNNING';
    const parts = {
      IDLE: () => 'None has run',
      RUNNING: () => `${state.attack_vector} is running: ${numbers.format(state.events_generated ?? 0)} events, ${state.elapsed_seconds ?? 0} of ${state.duration_seconds ?? '?'} s`,
      COMPLETED: () => `${state.attack_vector} has run: ${numbers.format(state.events_generated ?? 0)} events`,
      STOPPED: () => `${state.attack_vector} was stopped after ${numbers.format(state.events_generated ?? 0)} events`,
    };
    byId('sim-state').textContent = (parts[state.status] ?? (() => ''))();
    byId('start').disabled = running;
    byId('stop').disabled = !running;
  }

  // What the socket brings. Everything is applied by id: being told twice changes nothing.
  function putThreat(threat, isNew) {
    if (!threat || typeof threat.id !== 'string') return;
    if (isNew && !threats.has(threat.id)) {
      fresh.add(threat.id);
      unspoken += 1;
      worst = Math.max(worst, SEVERITIES.indexOf(severityOf(threat)));
    }
    threats.set(threat.id, threat);
    if (threats.size > 4 * SHOWN) threats.delete(threats.keys().next().value);
    touch('threats');
  }
  function putAlert(alert) {
    if (!alert || typeof alert.id !== 'string') return;
    alerts.set(alert.id, alert);
    if (alerts.size > 10 * SHOWN) alerts.delete(alerts.keys().next().value);
    touch('alerts');
  }
  const point = (step) => ({ at: Date.parse(step.timestamp), risk: Number(step.risk) });
  const handlers = {
    initial_state(data) {
      threats.clear();
      alerts.clear();
      [...(data.threats ?? [])].reverse().forEach((threat) => putThreat(threat, false));
      (data.alerts ?? []).forEach(putAlert);
      timeline = (data.risk_timeline ?? []).map(point);
      if (data.risk_index) showRisk(data.risk_index);
      if (data.dashboard_stats) showMetrics(data.dashboard_stats);
      if (data.simulation) showSimulation(data.simulation);
      ['threats', 'alerts', 'timeline'].forEach(touch);
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
    linked('offline', 'Reconnecting');
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
  async function simulate(action, body) {
    byId('sim-error').hidden = true;
    try {
      const answer = await fetch(`${api}/api/simulation/${action}`, {
        method: 'POST', headers: authorised({ 'content-type': 'application/json' }), body: JSON.stringify(body ?? {}),
      });
      const said = await answer.json().catch(() => ({}));
      if (answer.ok) {
        if (said.status) showSimulation(said);
        return;
      }
      const fields = (said.errors ?? []).map((error) => `${error.field}: ${error.message}`);
      throw new Error([said.detail ?? `the server answered ${answer.status}`, ...fields].join('; '));
    } catch (error) {
      byId('sim-error').textContent = `Not done: ${error.message}`;
      byId('sim-error').hidden = false;
    }
  }
  byId('start').onclick = () => simulate('start', { attack_vector: byId('vector').value, duration_seconds: 60, intensity: 'MEDIUM', target_eps: 20 });
  byId('stop').onclick = () => simulate('stop');
  byId('severity').onchange = () => touch('threats');
  byId('pause').onclick = () => {
    paused = !paused;
    byId('pause').setAttribute('aria-pressed', String(paused));
    byId('pause').textContent = paused ? 'Resume' : 'Pause';
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
  showSimulation({ status: 'IDLE' });
  connect();
})();
