// Keeps a page true while it is looked at: one stream of events for each tab,
// closed while the tab is hidden. The pages of the server are the truth; here
// only numbers are written, and a page is loaded anew when more has changed.
const job = document.querySelector('[data-job]');
const live = document.querySelector('[data-live]');
const say = document.getElementById('live');
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
let source, timer, down = 0, seen = Date.now(), spoken = -1;

const put = (name, text) => {
  const el = document.querySelector(`[data-${name}]`);
  if (el) el.textContent = text;
};

function bytes(n) {
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return `${i && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

function count(n, one) { return `${n} ${one}${n === 1 ? '' : 's'}`; }

function age(s) {
  s = Math.max(0, Math.floor(s));
  if (s < 120) return count(s, 'second');
  if (s < 7200) return count(Math.floor(s / 60), 'minute');
  return count(Math.floor(s / 3600), 'hour');
}

// reload is for what more than a number has changed. It waits for whoever is
// about to choose something.
function reload(wait) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (document.hidden) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? '')) reload(2000);
    else location.reload();
  }, wait);
}

// line is a word others wrote: without what controls or turns the text.
const clean = (s) => (s ?? '').replace(/[\u0000-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
  .replace(/[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/g, '\ufffd');

function progress(e) {
  seen = Date.now();
  put('stage', clean(e.stage));
  put('object', clean(e.object));
  const done = e.done_bytes ?? 0, total = e.total_bytes ?? 0;
  if (!total) return;
  const pc = Math.floor(100 * Math.min(done, total) / total);
  put('percent', `${pc} %`);
  put('done', `${bytes(done)} of ${bytes(total)}`);
  put('rate', e.bytes_per_second ? `${bytes(e.bytes_per_second)}/s` : 'not known yet');
  put('left', e.seconds_left ? `about ${age(e.seconds_left)} left in this stage` : '');
  const bar = document.querySelector('[data-bar]');
  bar?.setAttribute('width', `${pc}%`);
  bar?.parentElement.setAttribute('aria-valuenow', pc);
  if (Math.floor(pc / 10) !== spoken) {
    spoken = Math.floor(pc / 10);
    say.textContent = `${clean(e.stage)}, ${pc} %`;
  }
}

function line(e) {
  const log = document.querySelector('[data-log]');
  if (!log || !e.text) return;
  const row = document.createElement('span'), at = document.createElement('time'), text = document.createElement('bdi');
  if (e.kind === 'warning') row.className = 'w';
  at.textContent = new Date(e.time).toLocaleTimeString('en-GB');
  text.textContent = `${e.kind === 'warning' ? 'warning: ' : ''}${clean(e.text)}`;
  row.append(at, text, '\n');
  log.append(row);
  while (log.childElementCount > 200) log.firstElementChild.remove();
  log.scrollTop = log.scrollHeight;
}

function listen(name, fn) {
  source.addEventListener(name, (ev) => {
    try { fn(JSON.parse(ev.data)); } catch (err) { console.warn(name, err.message); }
  });
}

function open() {
  if (source || document.hidden || !(job || live)) return;
  source = new EventSource('/events');
  source.onopen = () => { if (down) location.reload(); };
  source.onerror = () => {
    down ||= Date.now();
    if (source.readyState === EventSource.CLOSED) { source = null; setTimeout(open, 5000); }
  };
  listen('reset', () => reload(0));
  if (job) {
    const id = Number(job.dataset.job), mine = (fn) => (e) => { if (e.run === id) fn(e); };
    listen('job.progress', mine(progress));
    listen('job.stage', mine((e) => { spoken = -1; progress(e); say.textContent = `${clean(e.stage)} begins`; }));
    listen('job.note', mine(line));
    listen('job.warning', mine(line));
    for (const name of ['job.started', 'job.done']) listen(name, (e) => { if (e.id === id) reload(300); });
    return;
  }
  for (const name of ['job.queued', 'job.started', 'job.done', 'definition.changed', 'alert.raised', 'service.state']) listen(name, () => reload(1000));
}

// Numbers of a broken stream are marked as old, with their age.
setInterval(() => {
  const el = document.querySelector('[data-stale]');
  if (!el) return;
  el.hidden = !down;
  if (down) el.textContent = `The connection is lost. These numbers are ${age((Date.now() - seen) / 1000)} old.`;
}, 1000);

document.addEventListener('visibilitychange', () => {
  if (document.hidden) { source?.close(); source = null; } else if (job || live) { reload(0); }
});

if (live?.dataset.live === 'away') reload(5000);
else open();
