'use strict';
const { report: r, search } = JSON.parse(document.getElementById('data').textContent);
const page = document.getElementById('page');
const W = 520, H = 230, LEFT = 46, RIGHT = 12, TOP = 10, BOTTOM = 26;

// el makes an element; text is text and never markup.
function el(name, attrs = {}, ...inside) {
  const svg = ['svg', 'g', 'path', 'line', 'rect', 'text', 'circle', 'title'].includes(name);
  const e = svg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
  for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v);
  e.append(...inside);
  return e;
}

const trim = (v, digits = 3) => Number(v.toPrecision(digits)).toLocaleString('en', { maximumFractionDigits: 3 });
const ms = (v) => `${trim(v)} ms`;
const mib = (v) => v / 1048576;
const whole = (v) => Math.round(v).toLocaleString('en');

// ticks returns about n round numbers from 0 to max.
function ticks(max, n = 4) {
  const raw = max / n, unit = 10 ** Math.floor(Math.log10(raw || 1));
  const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= raw);
  const out = [];
  for (let v = 0; v <= max * 1.0001; v += step) out.push(v);
  return out;
}

function frameOf(width, label) {
  return el('svg', { viewBox: `0 0 ${width} ${H}`, role: 'img', 'aria-label': label });
}

function yAxis(svg, width, max, format) {
  const y = (v) => H - BOTTOM - (H - TOP - BOTTOM) * v / (max || 1);
  for (const t of ticks(max)) {
    svg.append(el('line', { class: t ? 'grid' : 'axis', x1: LEFT, x2: width - RIGHT, y1: y(t), y2: y(t) }));
    svg.append(el('text', { x: LEFT - 7, y: y(t) + 4, 'text-anchor': 'end' }, format(t)));
  }
  return y;
}

// card is a plot with its title, what it shows, and the key of its colours.
function card(title, note, series, wide) {
  const c = el('section', { class: wide ? 'card wide' : 'card' }, el('h2', {}, title), el('p', {}, note));
  if (series.length > 1) {
    c.append(el('div', { class: 'keys' }, ...series.map((s) => el('span', {}, el('i', { style: `background:${s.color}` }), s.name))));
  }
  return c;
}

// hover shows the nearest point's values under the pointer.
function hover(box, svg, width, xs, tell) {
  const cross = el('line', { class: 'cross', y1: TOP, y2: H - BOTTOM });
  const tip = el('div', { class: 'tip' });
  svg.append(cross);
  box.append(tip);
  svg.addEventListener('pointermove', (e) => {
    const at = svg.getBoundingClientRect(), px = (e.clientX - at.left) * width / at.width;
    let i = 0;
    xs.forEach((x, j) => { if (Math.abs(x - px) < Math.abs(xs[i] - px)) i = j; });
    for (const k of ['x1', 'x2']) cross.setAttribute(k, xs[i]);
    tip.textContent = tell(i);
    cross.style.visibility = tip.style.visibility = 'visible';
    const left = svg.offsetLeft ?? 0, x = at.left - box.getBoundingClientRect().left + xs[i] * at.width / width + left;
    const turn = x + tip.offsetWidth + 16 > box.clientWidth;
    tip.style.left = `${turn ? x - tip.offsetWidth - 10 : x + 10}px`;
    tip.style.top = `${e.clientY - box.getBoundingClientRect().top - 20}px`;
  });
  svg.addEventListener('pointerleave', () => { cross.style.visibility = tip.style.visibility = 'hidden'; });
}

// lines plots series over points; x of a point is p.x, y is s.of(p).
function lines({ title, note, points, series, format, xLabel, wide, shade }) {
  const width = wide ? 1060 : W;
  const box = card(title, note, series, wide), svg = frameOf(width, `${title}. ${note}`);
  const max = (Math.max(...points.flatMap((p) => series.map((s) => s.of(p) ?? 0))) || 1) * 1.08;
  const x0 = points[0].x, x1 = Math.max(points.at(-1).x, x0 + 1e-9);
  const x = (v) => LEFT + (width - LEFT - RIGHT) * (points.length > 1 ? (v - x0) / (x1 - x0) : 0.5);
  if (shade) {
    const inside = points.filter((p) => p.measured);
    if (inside.length) svg.append(el('rect', { class: 'shade', x: x(inside[0].x), y: TOP, width: Math.max(1, x(inside.at(-1).x) - x(inside[0].x)), height: H - TOP - BOTTOM }));
  }
  const y = yAxis(svg, width, max, format);
  const step = Math.max(1, Math.ceil(points.length / (wide ? 14 : 7)));
  points.forEach((p, i) => {
    if (i % step === 0) svg.append(el('text', { x: x(p.x), y: H - 8, 'text-anchor': 'middle' }, xLabel(p.x)));
  });
  for (const s of series) {
    const kept = points.filter((p) => s.of(p) != null);
    svg.append(el('path', { class: 'curve', stroke: s.color, d: kept.map((p, i) => `${i ? 'L' : 'M'}${x(p.x).toFixed(1)} ${y(s.of(p)).toFixed(1)}`).join('') }));
    if (kept.length < 40) for (const p of kept) svg.append(el('circle', { cx: x(p.x), cy: y(s.of(p)), r: 2.5, fill: s.color }));
  }
  box.append(svg);
  hover(box, svg, width, points.map((p) => x(p.x)), (i) => [xLabel(points[i].x, true), ...series.map((s) => `${s.name}  ${format(s.of(points[i]) ?? 0, true)}`)].join('\n'));
  return box;
}

// histogram plots frames over latency, which grows by a tenth from bar to bar.
function histogram() {
  const width = 1060, bars = r.histogram, title = 'Latency, frame by frame';
  const note = 'Each bar is a range of latencies a tenth wide; its height is how many frames took that long.';
  const box = card(title, note, [], true), svg = frameOf(width, `${title}. ${note}`);
  const low = Math.log(bars[0].to / 1.1), high = Math.log(bars.at(-1).to);
  const x = (v) => LEFT + (width - LEFT - RIGHT) * (Math.log(v) - low) / (high - low || 1);
  const y = yAxis(svg, width, Math.max(...bars.map((b) => b.count)) * 1.08, (v) => whole(v));
  for (const b of bars) {
    const from = x(b.to / 1.1), h = Math.max(1, H - BOTTOM - y(b.count));
    svg.append(el('rect', { x: from + 0.5, y: H - BOTTOM - h, width: Math.max(1, x(b.to) - from - 1), height: h, fill: 'var(--c1)', rx: 1 }));
  }
  for (let e = Math.floor(Math.log10(bars[0].to)) - 1; e < 6; e++) {
    for (const m of [1, 2, 5]) {
      const v = m * 10 ** e;
      if (Math.log(v) > low && Math.log(v) < high) svg.append(el('text', { x: x(v), y: H - 8, 'text-anchor': 'middle' }, ms(v)));
    }
  }
  let row = 0, edge = -999;
  for (const [name, v] of [['p50', r.latency_ms.p50], ['p99', r.latency_ms.p99], ['p99.9', r.latency_ms.p999]]) {
    const at = Math.min(width - RIGHT, Math.max(LEFT, x(v)));
    svg.append(el('line', { class: 'mark', x1: at, x2: at, y1: TOP + 6, y2: H - BOTTOM }));
    const end = at > width - 120;
    row = at - edge < 180 ? row + 1 : 0;
    svg.append(el('text', { class: 'halo', x: end ? at - 4 : at + 4, y: TOP + 8 + 14 * row, 'text-anchor': end ? 'end' : 'start' }, `${name} ${ms(v)}`));
    edge = at;
  }
  box.append(svg);
  hover(box, svg, width, bars.map((b) => x(b.to / 1.05)), (i) => `${ms(bars[i].to / 1.1)} to ${ms(bars[i].to)}\n${whole(bars[i].count)} frames`);
  return box;
}

function table(head, rows) {
  return el('div', { class: 'scroll' }, el('table', {},
    el('thead', {}, el('tr', {}, ...head.map((h) => el('th', { scope: 'col' }, h)))),
    el('tbody', {}, ...rows.map((row) => el('tr', {}, ...row.map((v) => el('td', {}, String(v))))))));
}

function verdict() {
  const v = r.verdict;
  const words = { pass: 'All limits were kept', fail: 'A limit was broken', inconclusive: 'Inconclusive: a limit was broken while the generator was late' };
  const told = (search ? search.broke ?? [] : v.breaks ?? []).map((b) => el('li', {}, `${b.limit} is ${b.found}, limit ${b.asked}`));
  let text = words[v.result], kind = v.result;
  if (search) {
    kind = search.late ? 'inconclusive' : search.good ? 'pass' : 'fail';
    text = search.late ? `${whole(search.good)} calls are good; at ${whole(search.bad)} the generator was late, so that nothing is proved` :
      search.bad ? `${whole(search.good)} calls are good; at ${whole(search.bad)} broke:` : `No limit broke up to ${whole(search.good)} calls`;
  }
  const late = search ? search.late : v.late;
  if (late) told.push(el('li', {}, `the generator was late: ${late}`));
  return el('div', { class: `verdict ${kind}` }, text, ...(told.length ? [el('ul', {}, ...told)] : []));
}

function tiles() {
  const tile = (label, value, unit = '') => el('div', { class: 'tile' }, el('b', {}, value, el('small', {}, unit)), el('span', {}, label));
  const echo = r.load.echo !== 'none', out = [tile(`calls of ${whole(r.calls.asked)} asked`, whole(r.calls.connected))];
  if (echo) {
    out.push(tile('latency, median', trim(r.latency_ms.p50), 'ms'), tile('latency, p99', trim(r.latency_ms.p99), 'ms'), tile('latency, p99.9', trim(r.latency_ms.p999), 'ms'));
    out.push(tile(`lost of ${whole(r.frames.due)} frames`, whole(r.frames.lost)));
  }
  if (r.server && !r.server.error) {
    out.push(tile('server CPU a frame', trim(r.server.cpu_us_per_frame), 'µs'), tile('server CPU', trim(r.server.cores), 'cores'), tile('memory a call', trim(r.server.rss_per_call_bytes / 1024), 'KiB'));
  }
  out.push(tile('generator late, p99', trim(r.generator.write_late_ms.p99), 'ms'));
  return el('div', { class: 'tiles' }, ...out);
}

function plots() {
  const out = [], at = (x, long) => long ? `second ${trim(x)}` : `${Math.round(x)} s`;
  const time = (r.timeline ?? []).map((s) => ({ ...s, x: s.at_s })), over = { points: time, xLabel: at, shade: true };
  if (search && search.steps.length > 1) {
    const points = search.steps.map((s) => ({ x: s.calls, ...s.report })).sort((a, b) => a.x - b.x);
    const calls = { points, xLabel: (x, long) => long ? `${whole(x)} calls` : whole(x) };
    out.push(lines({ ...calls, title: 'Latency by number of calls', note: 'ms', format: (v, long) => long ? ms(v) : trim(v), series: [
      { name: 'p50', color: 'var(--c1)', of: (p) => p.latency_ms.p50 }, { name: 'p99', color: 'var(--c3)', of: (p) => p.latency_ms.p99 }] }));
    out.push(lines({ ...calls, title: 'CPU by number of calls', note: 'µs of the server for each frame', format: (v) => trim(v), series: [
      { name: 'µs/frame', color: 'var(--c2)', of: (p) => p.server?.cpu_us_per_frame ?? 0 }] }));
  }
  if (r.latency_ms.count && time.length) {
    const pick = (key) => (p) => p.latency_ms.count ? p.latency_ms[key] : null;
    out.push(lines({ ...over, wide: true, title: 'Latency over time', note: 'ms from when a frame was due until it was back, second by second; the measured span is shaded', format: (v, long) => long ? ms(v) : trim(v), series: [
      { name: 'p50', color: 'var(--c1)', of: pick('p50') }, { name: 'p90', color: 'var(--c2)', of: pick('p90') }, { name: 'p99', color: 'var(--c3)', of: pick('p99') }, { name: 'max', color: 'var(--c4)', of: pick('max') }] }));
  }
  if (r.histogram?.length) out.push(histogram());
  if (time.length) {
    out.push(lines({ ...over, title: 'Frames', note: 'a second', format: (v, long) => v >= 1000 && !long ? `${trim(v / 1000)}k` : whole(v), series: [
      { name: 'sent', color: 'var(--c1)', of: (p) => p.sent }, { name: 'back', color: 'var(--c3)', of: (p) => p.back }] }));
    out.push(lines({ ...over, title: 'Generator', note: 'ms that it was late, 99th percentile of each second', format: (v, long) => long ? ms(v) : trim(v), series: [
      { name: 'late', color: 'var(--c4)', of: (p) => p.late_p99_ms }] }));
  }
  if (r.server && !r.server.error && time.length) {
    out.push(lines({ ...over, title: 'Server CPU', note: 'cores', format: (v) => trim(v), series: [{ name: 'cores', color: 'var(--c2)', of: (p) => p.cpu_cores ?? 0 }] }));
    out.push(lines({ ...over, title: 'Server memory', note: 'MiB resident', format: (v) => trim(v), series: [{ name: 'MiB', color: 'var(--c1)', of: (p) => mib(p.rss_bytes ?? 0) }] }));
  }
  return el('div', { class: 'cards' }, ...out);
}

function numbers() {
  const q = (name, d) => [name, whole(d.count), ...[d.min, d.p50, d.p90, d.p99, d.p999, d.max, d.mean].map((v) => v.toFixed(3))];
  const f = r.frames, rows = [q('latency', r.latency_ms), q('service', r.service_ms), q('setup', r.setup_ms), q('generator late', r.generator.write_late_ms), q('reader late', r.generator.read_late_ms)];
  const counts = Object.entries(f).map(([k, v]) => [k.replaceAll('_', ' '), whole(v)]);
  const errors = Object.entries(r.calls.errors ?? {});
  const inside = [el('summary', {}, 'All numbers'), table(['ms', 'count', 'min', 'p50', 'p90', 'p99', 'p99.9', 'max', 'mean'], rows), table(['frames', ''], counts)];
  if (errors.length) inside.push(table(['calls that failed or were lost', ''], errors));
  if (search) inside.push(table(['calls', 'p50 ms', 'p99 ms', 'lost', 'verdict'], search.steps.map((s) => [whole(s.calls), trim(s.report.latency_ms.p50), trim(s.report.latency_ms.p99), whole(s.report.frames.lost), s.verdict.result])));
  return el('details', errors.length ? { open: '' } : {}, ...inside);
}

const l = r.load, m = r.machine;
page.replaceChildren(
  el('header', {}, el('h1', {}, search ? 'How many calls it takes' : `${whole(l.calls)} calls for ${trim(l.duration_s)} s`), el('span', { class: 'soft' }, 'mixminus load')),
  el('p', { class: 'sub' }, `${l.url}, ${l.speakers} ${l.speakers === 1 ? 'speaker' : 'speakers'} ${l.channels} at ${l.rate_hz / 1000} kHz, ${new Date(r.started).toISOString().replace('T', ' ').slice(0, 19)} UTC`),
  verdict(), tiles(), plots(), numbers(),
  el('footer', {}, `${m.cpu ?? m.os}, ${m.cpus} CPUs, ${m.os} ${m.kernel ?? ''}, ${m.go}. Latency runs from when a frame was due, not from when it left.`));
document.title = `${search ? search.good : l.calls} calls, ${r.verdict.result}: mixminus load`;
document.documentElement.dataset.ready = 'true';
