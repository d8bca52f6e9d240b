// Logs: what is kept of the lines of all services, and what comes; narrowed by service, level, text, time, trace, attribute; one of them opened.

import { chip, h, link, mark, replace, say, uncover } from './dom.js';
import * as show from './format.js';
import { clockControl, rangeControl } from './range.js';
import { records } from './records.js';
import { address, page, place, turn } from './router.js';
import { told as tell } from './say.js';
import * as store from './store.js';
import { isNarrowed, keyOf, levelWord, read } from './tail.js';
import { dated, zone } from './time.js';

const LEVELS = [['', 'Any level'], ['debug', 'Debug and above'], ['info', 'Info and above'], ['warn', 'Warnings and errors'], ['error', 'Errors']];
const WAIT_MS = 250;
// What stands round a line.
const AROUND_MS = 30000;
const ORIGINAL = 'log.record.original';

const NOTHING = { service: null, instance: null, level: null, text: null, event: null, trace: null, span: null, attribute: [], line: null };

page('logs', (root, _, signal) => {
  let asked = read(location.search);
  const state = h('p', { 'aria-live': 'off' });
  const clocks = clockControl();
  const time = rangeControl();
  const form = filters(signal);
  const chips = h('div', { class: 'row chips' });
  const empty = h('div', { class: 'empty', hidden: true });
  const panel = h('aside', { 'aria-label': 'Line' });
  const list = records({ label: 'Lines, the earliest first', to: (record) => address('logs', [], { ...narrow(asked), line: keyOf(record) }) }, signal);
  const both = h('div', { class: 'both logs' }, h('div', {}, list, empty), panel);
  root.append(h('div', { class: 'head' }, h('h1', {}, 'Logs'), state, h('span', { class: 'grow' }), clocks), time, form, chips, both);

  list.addEventListener('told', ({ detail }) => {
    const { count, more, live, follows, failed, busy } = detail;
    say(state, `${count ? `${show.count(count)} ${count === 1 ? 'line' : 'lines'}${more ? ' and more' : ''}` : ''}${live ? `${count ? '; ' : ''}${follows ? 'follows what comes' : 'what comes waits below'}` : ''}`);
    empty.hidden = count > 0 || busy;
    list.hidden = !empty.hidden;
    if (!empty.hidden) replace(empty, failed ? h('p', { class: 'bad' }, failed) : more ? h('p', {}, 'Nothing of that was found as far as was looked.') : nothing(asked));
  });
  let current;
  const open = (record) => {
    current = record;
    mark(both, 'data-on', Boolean(asked.line));
    if (!asked.line) replace(panel);
    else if (record) replace(panel, about(record, asked));
    else replace(panel, h('div', { class: 'head' }, h('h2', {}, 'Line'), h('span', { class: 'grow' }), close()), h('p', {}, 'It is not kept any more.'));
    if (asked.line && record) uncover(panel, () => list.lineOf(asked.line));
  };
  list.addEventListener('found', ({ detail }) => open(detail));
  const shut = () => {
    const { line } = asked;
    turn({ line: null }, { replace: true });
    list.focusOn(line);
  };
  const close = () => h('button', { class: 'plain', onclick: shut }, 'Close');
  document.addEventListener('keydown', (event) => { if (event.key === 'Escape' && asked.line && !event.target.closest('input, select, dialog')) shut(); }, { signal });
  const begin = () => {
    asked = read(location.search);
    // What the range is chosen by is `from` alone.
    if (place().query.since) history.replaceState(null, '', address('logs', [], asked));
    clocks.show();
    time.hidden = Boolean(asked.trace && !asked.from && !asked.to);
    time.show();
    form.show(asked);
    replace(chips, chosen(asked));
    chips.hidden = !chips.firstChild;
    list.show(asked);
    const known = asked.line ? list.get(asked.line) ?? (current && keyOf(current) === asked.line ? current : undefined) : null;
    if (known !== undefined) open(known);
  };
  begin();
  return begin;

  function about(record, { utc }) {
    const ms = record.at_us / 1000;
    const isUtc = Boolean(utc);
    const { [ORIGINAL]: original, ...attributes } = record.attributes;
    const raw = original ?? record.body;
    const only = (changes) => address('logs', [], { ...narrow(asked), ...changes });
    const pairs = [['when', `${dated(ms, isUtc)} ${zone(ms, isUtc)}, ${show.ago(ms)}`], ['level', record.level ? `${levelWord(record.level)}, ${record.severity}` : 'not said'],
      ['service', link(address('services', [record.service]), {}, record.service)], ['instance', record.instance ? link(only({ instance: record.instance, line: keyOf(record) }), { title: 'Only what it wrote' }, record.instance) : null],
      ['event', record.event ?? null], ['trace', record.trace_id ? link(address('traces', [record.trace_id], { span: record.span_id, utc }), { class: 'mono' }, record.trace_id) : null], ['span', record.span_id ? h('span', { class: 'mono' }, record.span_id) : null]];
    const around = address('logs', [], { from: Math.floor(ms) - AROUND_MS, to: Math.ceil(ms) + AROUND_MS, line: keyOf(record), utc });
    const keys = Object.keys(attributes).sort();
    const copied = () => navigator.clipboard.writeText(raw).then(() => tell('The line is copied'), () => tell('The browser does not let the page copy', 'bad'));
    return [h('div', { class: 'head' }, h('h2', {}, record.level ? [h('span', { class: 'level', 'data-level': record.level }, levelWord(record.level)), ' '] : null, record.instance || record.service), h('span', { class: 'grow' }), close()),
      h('pre', { class: 'said' }, record.body),
      h('dl', { class: 'short' }, pairs.filter(([, value]) => value !== null).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])),
      h('div', { class: 'row links' }, link(around, {}, 'What was written around it'), record.trace_id ? link(address('logs', [], { trace: record.trace_id, line: keyOf(record), utc }), {}, 'All of its trace') : null),
      h('h3', {}, 'Attributes'),
      keys.length ? h('dl', {}, keys.map((key) => {
        const value = attributes[key];
        const text = typeof value === 'string' ? value : JSON.stringify(value);
        const plain = typeof value === 'object' ? key : `${key}=${text}`;
        return [h('dt', {}, key), h('dd', { class: 'mono' }, link(only({ attribute: [...new Set([...asked.attribute, plain])], line: keyOf(record) }), { title: `Only lines with ${plain}` }, text))];
      })) : h('p', { class: 'dim' }, 'It has none.'),
      h('div', { class: 'head' }, h('h3', {}, original === undefined ? 'The line' : 'The line as it was written'), h('span', { class: 'grow' }), h('button', { class: 'plain', onclick: copied }, 'Copy')),
      h('pre', { class: 'raw' }, raw)];
  }
});

// What the address has, without what is opened.
const narrow = ({ line, ...asked }) => asked;

function chosen(asked) {
  const shown = (text, without) => chip(text, () => turn(without));
  const led = (word, id, to, without) => h('span', { class: 'row' }, shown(`${word} ${id.slice(0, 8)}…`, without), link(to, {}, `Open the ${word}`));
  return [asked.trace ? led('trace', asked.trace, address('traces', [asked.trace], { utc: asked.utc }), { trace: null, span: null }) : null,
    asked.span ? led('span', asked.span, address('traces', [asked.trace ?? ''], { span: asked.span, utc: asked.utc }), { span: null }) : null,
    asked.event ? shown(asked.event === '*' ? 'what Colony says' : `event ${asked.event}`, { event: null }) : null,
    asked.attribute.map((one) => shown(one, { attribute: asked.attribute.filter((other) => other !== one) }))].flat();
}

function nothing(asked) {
  const isWide = asked.from === '-24h';
  const wider = isWide || asked.trace ? null : h('button', { onclick: () => turn({ from: '-24h', to: null }) }, 'Look at the last 24 hours');
  return [h('p', {}, isNarrowed(asked) ? 'Nothing of that was written in this time.' : 'Nothing was written in this time.'),
    h('div', { class: 'row' }, isNarrowed(asked) ? h('button', { onclick: () => turn(NOTHING) }, 'Ask for anything') : null, wider)];
}

function filters(signal) {
  const select = (key, word) => h('select', { 'aria-label': word, onchange: ({ target }) => turn({ [key]: target.value, line: null, ...(key === 'service' ? { instance: null } : {}) }) });
  const [service, instance, level] = [select('service', 'Service'), select('instance', 'Instance'), select('level', 'Level')];
  replace(level, LEVELS.map(([value, word]) => h('option', { value }, word)));
  const search = h('input', { type: 'search', placeholder: 'Contains', 'aria-label': 'Contains', autocomplete: 'off', spellcheck: 'false' });
  let wait;
  search.addEventListener('input', () => {
    clearTimeout(wait);
    wait = setTimeout(() => turn({ text: search.value, line: null }, { replace: true }), WAIT_MS);
  });
  signal.addEventListener('abort', () => clearTimeout(wait));
  const clear = h('button', { class: 'plain', onclick: () => turn(NOTHING) }, 'Clear all');
  const box = h('div', { class: 'row filters' }, service, instance, level, search, clear);
  let asked = {};
  const offer = (choice, all, names, chosen) => {
    const values = ['', ...new Set([...names, ...(chosen ? [chosen] : [])])];
    const key = values.join('\n');
    if (choice.dataset.offers !== key) {
      choice.dataset.offers = key;
      replace(choice, values.map((value) => h('option', { value }, value || all)));
    }
    if (choice.value !== (chosen ?? '')) choice.value = chosen ?? '';
  };
  const draw = () => {
    const nodes = store.all('node/').filter((node) => node.kind === 'service');
    offer(service, 'All services', nodes.map((node) => node.name), asked.service);
    const instances = nodes.find((node) => node.name === asked.service)?.instances.map((one) => one.id) ?? [];
    offer(instance, 'All instances', instances, asked.instance);
    instance.hidden = !asked.instance && instances.length < 2;
  };
  box.show = (next) => {
    asked = next;
    draw();
    clear.hidden = !isNarrowed(asked);
    if (level.value !== (asked.level ?? '')) level.value = asked.level ?? '';
    if (level.selectedIndex < 0) level.append(h('option', { value: asked.level, selected: true }, asked.level));
    if (document.activeElement !== search) search.value = asked.text ?? '';
  };
  store.watch(draw, signal);
  return box;
}
