// Metrics: any of the catalogue, several at once, over the same time. What is shown stands in the address: `name` for each chart
// (`METRIC[/OF][:TAKE[:BY]]`), `from` and `to`, `service` and `label.NAME` for what alone is to be seen.

import { most, Palette, ratio, spec, usualSplit, usualTake, written } from './curves.js';
import { h, isNarrow, Keyed, mark, renew, replace, say } from './dom.js';
import { get, query as asked } from './net.js';
import { plot, Sight } from './plot.js';
import { choose, rangeControl } from './range.js';
import { address, page, place, several, turn } from './router.js';
import { unitOf } from './scale.js';
import { aligned, range, stamp, step } from './time.js';

// What is seen where nothing is chosen: what comes in, what of it fails, how long it takes, who is refused, and what it costs.
const USUAL = [
  'colony.call.requests', 'colony.call.failures/colony.call.requests', 'colony.call.duration:p99', 'colony.call.refusals:rate:policy',
  'colony.instance.cpu.time', 'colony.instance.memory',
];
const EVERY = 5000;
const DRAWN_MAX = 24;
const TAKES = { histogram: ['p50', 'p90', 'p95', 'p99', 'p99.9', 'mean', 'rate', 'increase'], counter: ['rate', 'increase'], gauge: ['value'] };
const WORDS = { rate: 'per second', increase: 'how many', value: 'value', mean: 'mean' };
// The labels by which a metric says whom it is about.
const WHO = ['upstream', 'service'];
// Pixels from a mark at which one points to it.
const NEAR = 8;

let catalogue = null;

async function known() {
  catalogue ??= (await get('/api/metrics')).metrics;
  return catalogue;
}

const chosen = () => { const names = several('name').filter(Boolean); return names.length ? names : USUAL; };
const withCharts = (charts) => turn({ name: charts.join() === USUAL.join() ? null : charts });

// What alone is to be seen, by label; `service` is whatever label says whom a metric is about.
const filters = () => Object.entries(place().query).filter(([key, value]) => value && (key === 'service' || key.startsWith('label.')));

function fits(metric) {
  const of = {};
  for (const [key, value] of filters()) {
    const label = key === 'service' ? WHO.find((one) => metric.labels.includes(one)) : key.slice(6);
    if (metric.labels.includes(label)) of[`label.${label}`] = value;
  }
  return of;
}

const THOSE = 'Those shown';

// What alone is to be seen, chosen by keys: the metrics that have the label, the label, and one of its values.
function filterForm(sight) {
  const metric = h('select', { onchange: () => offerLabels() }, h('option', { value: '' }, THOSE));
  const label = h('select', { onchange: () => offerValues() });
  const value = h('input', { list: 'label-values', autocomplete: 'off', spellcheck: 'false', size: 18, required: true });
  const values = h('datalist', { id: 'label-values' });
  const field = (word, element) => h('label', {}, word, element);
  const set = (event) => {
    event.preventDefault();
    const only = value.value.trim();
    if (!only || !label.value) return;
    value.value = '';
    turn({ [WHO.includes(label.value) ? 'service' : `label.${label.value}`]: only });
  };
  const form = h('form', { class: 'row end', onsubmit: set }, field('Metric', metric), field('Label', label), field('Value', value), values, h('button', {}, 'Only these'));
  const box = h('details', { class: 'asks' }, h('summary', {}, 'Filter'), form);
  const about = () => wanted().map(subject).filter((one) => one && (!metric.value || one.metric.name === metric.value));
  const offerLabels = () => {
    const known = [...new Set(about().flatMap((one) => one.labels))].sort();
    const before = label.value;
    renew(label, known, () => known.map((one) => h('option', {}, one)));
    if (known.includes(before)) label.value = before;
    offerValues();
  };
  // What the label was in this time.
  const offerValues = async () => {
    const [by, { from, to }] = [label.value, sight.range];
    const asks = about().filter((one) => one.labels.includes(by)).slice(0, 8)
      .map(({ metric: { name } }) => get(`/api/metrics${asked({ name, from, to, step: to - from, by })}`).then((told) => told.series.map((one) => one.labels[by]), () => []));
    const found = [...new Set((await Promise.all(asks)).flat())].filter(Boolean).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    if (by === label.value) renew(values, found, () => found.map((one) => h('option', { value: one })));
  };
  value.addEventListener('focus', () => offerValues());
  box.open = !isNarrow();
  let offered = '';
  box.show = () => {
    const names = [...new Set(wanted().map((one) => subject(one)?.metric.name).filter(Boolean))];
    if (names.join() === offered) return;
    offered = names.join();
    const before = metric.value;
    replace(metric, h('option', { value: '' }, THOSE), names.map((one) => h('option', {}, one)));
    metric.value = names.includes(before) ? before : '';
    offerLabels();
  };
  return box;
}

page('graphs', (root, at, signal) => {
  const sight = new Sight({ onselect: choose, onpoint: () => pointed() });
  const palette = new Palette();
  const control = rangeControl();
  const readout = h('span', { class: 'readout', 'aria-live': 'off' });
  const form = filterForm(sight);
  const only = h('div', { class: 'row' });
  const add = h('button', { onclick: () => offer(add) }, 'Add a metric');
  const charts = h('div', { class: 'charts' });
  const wrong = h('p', { class: 'bad', hidden: true });
  const happened = h('tbody', {});
  const what = h('section', {}, h('h2', {}, 'What happened in this time'), h('div', { class: 'wide' }, h('table', { class: 'happened' }, happened)));
  root.append(h('div', { class: 'head' }, h('h1', {}, 'Metrics'), h('span', { class: 'grow' }), add),
    h('div', { class: 'bar' }, control, readout), form, only, wrong, charts, what);
  let [round, timer] = [0, null];

  const shown = new Keyed(charts, (one) => chart(one, sight, palette), () => {});

  const pointed = () => {
    const { at, part, range: now } = sight;
    const scale = (now.to - now.from) / Math.max(1, charts.firstElementChild?.clientWidth ?? 1);
    const events = at === null ? [] : sight.events.filter((event) => Math.abs(event.at - at) < Math.max(NEAR * scale, now.step / 2));
    const words = part ? `${stamp(Math.min(...part))} – ${stamp(Math.max(...part))}` : at === null ? '' : stamp(at);
    say(readout, [words, ...events.map((event) => `${event.kind}: ${event.text}`)].filter(Boolean).join('  ·  '));
  };

  const draw = async () => {
    const mine = round += 1;
    clearTimeout(timer);
    const now = range(place().query);
    const size = step(now);
    sight.range = aligned(now, size);
    control.show();
    renew(only, filters(), () => filters().map(([key, value]) => h('button', { class: 'only', title: 'See all again', onclick: () => turn({ [key]: null }) },
      `${key.replace(/^label\./, '')} ${value}`, h('span', { 'aria-hidden': 'true' }, ' ×'))));
    only.hidden = !only.children.length;
    try {
      await known();
      wrong.hidden = true;
    } catch (error) {
      wrong.hidden = false;
      say(wrong, error.message);
    }
    if (mine !== round || signal.aborted) return;
    if (catalogue) {
      const before = [...charts.children];
      shown.show(wanted(), (one) => one.key);
      form.show();
      for (const element of before) if (!element.isConnected) element.end();
      const [, ...loaded] = await Promise.all([events(sight), ...[...charts.children].map((element) => element.load())]);
      if (mine !== round || signal.aborted) return;
      happenings(happened, what, sight);
      // In the order in which they stand, so that colours are the same every time.
      [...charts.children].forEach((element, at) => element.draw(loaded[at]));
      pointed();
    }
    if (mine === round && now.live && !signal.aborted) timer = setTimeout(next, EVERY);
  };
  // A page that nobody sees asks for nothing.
  const next = () => { if (document.hidden) document.addEventListener('visibilitychange', next, { once: true, signal }); else draw(); };
  signal.addEventListener('abort', () => {
    clearTimeout(timer);
    for (const element of charts.children) element.end();
  });
  draw();
  return () => draw();
});

// What was done to the system, and the alerts: they stand on the axis of time.
async function events(sight) {
  const { from, to } = sight.range;
  const [changes, slos] = await Promise.all([
    get(`/api/changes${asked({ from, to })}`).then((told) => told.changes, () => []),
    get('/api/slos').then((told) => [...told.alerts, ...(told.past ?? [])], () => []),
  ]);
  // Of one thing there may be a page and a ticket.
  const alerts = [...new Map(slos.map((alert) => [alert.key.replace(/ (page|ticket)$/, ''), { at: alert.since_ms, kind: 'alert', text: alert.summary }])).values()];
  sight.events = [...changes.map(({ at_ms, kind, text }) => ({ at: at_ms, kind, text })), ...alerts]
    .filter(({ at }) => at >= from && at <= to).sort((a, b) => a.at - b.at);
}

function happenings(body, section, sight) {
  section.hidden = sight.events.length === 0;
  renew(body, sight.events, () => sight.events.toReversed().map(({ at, kind, text }) => h('tr', {}, h('td', { class: 'mono' }, stamp(at)),
    h('td', {}, h('span', { class: 'kind', 'data-kind': kind }, kind)), h('td', {}, text))));
}

// The charts that are asked for, each with a key of its own, for the same may be asked for twice.
function wanted() {
  const seen = new Map();
  return chosen().map((text) => {
    const count = (seen.get(text) ?? 0) + 1;
    seen.set(text, count);
    return { key: `${text} ${count}`, ...spec(text) };
  });
}

const metricOf = (name) => catalogue.find((metric) => metric.name === name || metric.prometheus === name);

// What a chart shows: the metric, the one that it is a share of, what is taken, and by what it is split.
function subject({ name, of, take, by }) {
  const [metric, whole] = [metricOf(name), of ? metricOf(of) : null];
  if (!metric || (of && !whole)) return null;
  const labels = metric.labels.filter((label) => !whole || whole.labels.includes(label));
  return { metric, whole, labels, take: take ?? usualTake(metric.kind), split: by ?? usualSplit(labels) };
}

async function curves({ metric, whole, take, split }, { from, to, step: size }) {
  const ask = (one) => get(`/api/metrics?${new URLSearchParams({ name: one.name, from, to, step: size, by: split.join(), ...(whole ? {} : { take }), ...fits(one) })}`);
  const [some, all] = await Promise.all([ask(metric), whole ? ask(whole) : null]);
  return all ? ratio(some.series, all.series) : some.series;
}

// One chart with what is above it.
function chart(one, sight, palette) {
  const about = subject(one);
  const help = h('p', { class: 'help' });
  const lines = plot(sight, { label: one.name, onpick: (series) => {
    const [label, value] = Object.entries(series.labels)[0] ?? [];
    if (label) turn({ [WHO.includes(label) ? 'service' : `label.${label}`]: value });
  } });
  const element = h('section', {}, h('div', { class: 'title' }, h('h2', {}, one.of ? `${one.name} / ${one.of}` : one.name), h('span', { class: 'grow' }),
    about ? ways(one, about, () => element) : null,
    h('button', { class: 'plain', title: 'Take this chart away', 'aria-label': `Take ${one.name} away`, onclick: () => withCharts(chosen().toSpliced(placeOf(element), 1)) }, '×')), help, lines);
  element.end = lines.end;
  const unit = about ? unitOf(about.metric, about.take, one.of) : 'count';
  element.load = () => (about ? curves(about, sight.range).catch((error) => error.message) : 'There is no such metric.');
  // All series, or words that say why there are none.
  element.draw = (all) => {
    if (typeof all === 'string') return lines.show([], unit, all);
    const drawn = palette.dress(most(all, DRAWN_MAX));
    const says = one.of ? `As a share of the other: ${about.metric.help}` : about.metric.help;
    say(help, drawn.length === DRAWN_MAX && all.length > DRAWN_MAX ? `The ${DRAWN_MAX} of ${all.length} with the most in them. ${says}` : says);
    mark(help, 'title', help.textContent);
    lines.show(drawn, unit);
  };
  return element;
}

const placeOf = (element) => [...element.parentNode.children].indexOf(element);

// What of the metric is shown, and by what it is split.
function ways(one, { metric, whole, labels, take, split }, element) {
  const change = (next) => withCharts(chosen().with(placeOf(element()), written({ name: one.name, of: one.of, take: one.take, by: one.by, ...next })));
  const takes = whole ? [] : TAKES[metric.kind];
  const takeOf = h('select', { 'aria-label': `What of ${one.name}`, hidden: takes.length < 2, onchange: () => change({ take: takeOf.value === usualTake(metric.kind) ? null : takeOf.value }) },
    [...new Set([...takes, take])].map((value) => h('option', { value, selected: value === take }, WORDS[value] ?? value)));
  const usual = usualSplit(labels).join();
  const splits = [...new Set([usual, ...labels, labels.join(), '', split.join()])];
  const splitBy = h('select', { 'aria-label': `Split ${one.name} by`, hidden: labels.length === 0, onchange: () => change({ by: splitBy.value === usual ? null : splitBy.value.split(',').filter(Boolean) }) },
    splits.map((value) => h('option', { value, selected: value === split.join() }, value === '' ? 'all together' : `by ${value.replaceAll(',', ', ')}`)));
  return [takeOf, splitBy];
}

// All metrics, to be found and taken.
function offer(opener) {
  const list = h('ul', { role: 'listbox', id: 'metrics', 'aria-label': 'Metrics' });
  const input = h('input', { type: 'search', 'aria-label': 'Find a metric', 'aria-controls': 'metrics', placeholder: 'A part of its name or of what it says' });
  const dialog = h('dialog', { class: 'metrics' }, input, list);
  dialog.addEventListener('close', () => { dialog.remove(); opener.focus(); });
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  let at = 0;
  const take = (metric) => { dialog.close(); withCharts([...chosen(), metric.name]); };
  const found = () => {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    return (catalogue ?? []).filter(({ name, prometheus, help }) => wanted.every((word) => `${name} ${prometheus} ${help}`.toLowerCase().includes(word)));
  };
  const show = () => {
    const all = found();
    at = Math.max(0, Math.min(at, all.length - 1));
    const items = all.map((metric, place) => h('li', { role: 'option', 'aria-selected': String(place === at) },
      h('a', { href: address('graphs', [], { name: metric.name }), onclick: (event) => { event.preventDefault(); take(metric); } },
        h('span', { class: 'mono' }, metric.name), h('span', { class: 'dim' }, metric.help))));
    replace(list, items.length ? items : h('li', { class: 'empty' }, 'No metric says so.'));
    items[at]?.scrollIntoView({ block: 'nearest' });
    return all;
  };
  input.addEventListener('input', () => { at = 0; show(); });
  input.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') at += 1;
    else if (event.key === 'ArrowUp') at -= 1;
    else if (event.key !== 'Enter') return;
    event.preventDefault();
    const all = show();
    if (event.key === 'Enter' && all[at]) take(all[at]);
  });
  document.body.append(dialog);
  dialog.showModal();
  show();
  input.focus();
}
