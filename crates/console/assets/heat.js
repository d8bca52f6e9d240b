// The map of heat: how many requests took how long when. A drag, or arrows and Enter, asks for a stretch of time and latency.

import { query, written } from './asked.js';
import { cellAt, Counts, enclosed, laid, leasts } from './cells.js';
import { h, isNarrow, mark, replace, s, say } from './dom.js';
import * as show from './format.js';
import { get } from './net.js';
import { clock, range, round, ticks } from './time.js';

const EVERY_MS = 5000;
// So long after it a trace may still be decided on.
export const SETTLES_MS = 45000;
const COLUMN_WIDTH = 13;
const EDGE = { left: 58, bottom: 20, top: 4, right: 4 };
const KEYS = 'By keys: arrows, Shift and arrows, Enter.';
const HINT = 'Drag to ask for a time and a latency.';

const many = (count) => show.count(Math.round(count));

// `chosen({from, to, slower, faster})` is called with what is asked for.
export function heat(chosen, signal) {
  const [ruled, filled, picked] = [s('g', {}), s('g', {}), s('rect', { class: 'picked', rx: 1 })];
  const svg = s('svg', { class: 'cells', tabindex: 0, role: 'application', 'aria-label': `Requests by time and latency. ${HINT} ${KEYS}` }, ruled, filled, picked);
  const readout = h('span', { class: 'readout', 'aria-live': 'polite' }, HINT);
  const legend = h('span', { class: 'legend' });
  const box = h('div', { class: 'heat' }, svg, h('div', { class: 'row under' }, readout, h('span', { class: 'grow' }), legend));
  let [asked, counts, view, plan, corner, far, refused, asking] = [null, null, null, null, null, null, false, 0];
  const drawn = new Map();
  const inner = () => ({ width: Math.max(120, box.clientWidth - EDGE.left - EDGE.right), height: isNarrow() ? 130 : 180 });

  const draw = () => {
    if (!counts || !box.isConnected) return;
    const size = inner();
    mark(svg, 'viewBox', `0 0 ${size.width + EDGE.left + EDGE.right} ${size.height + EDGE.top + EDGE.bottom}`);
    mark(svg, 'width', size.width + EDGE.left + EDGE.right);
    mark(svg, 'height', size.height + EDGE.top + EDGE.bottom);
    plan = laid(counts, view, size);
    const place = `translate(${EDGE.left} ${EDGE.top})`;
    for (const group of [filled, ruled, picked]) mark(group, 'transform', place);
    const across = (ms) => ((ms - view.from) / (view.to - view.from)) * size.width;
    // Words of a height need room.
    let above = Infinity;
    const rulers = plan.marks.filter(({ at, y }) => at % 2 === 1 && y < size.height - 4 && above - y > 22 && ((above = y), true));
    replace(ruled,
      rulers.map(({ ns, y }) => [s('line', { x1: 0, x2: size.width, y1: y, y2: y }), s('text', { x: -8, y: y + 4, 'text-anchor': 'end' }, show.took(ns))]),
      s('line', { class: 'base', x1: 0, x2: size.width, y1: size.height, y2: size.height }),
      ticks(view.from, view.to, Math.max(2, Math.floor(size.width / 84)), asked.utc).map(({ at, text }) => [
        s('line', { class: 'base', x1: across(at), x2: across(at), y1: size.height, y2: size.height + 4 }),
        across(at) > 14 && across(at) < size.width - 14 ? s('text', { x: across(at), y: size.height + 16, 'text-anchor': 'middle' }, text) : null]));
    columns();
    replace(legend, plan.most > 0 ? [leasts(plan.most).map(({ level, least }) => h('span', { class: 'step' }, s('svg', { width: 12, height: 12 }, s('rect', { class: `l${level}`, width: 12, height: 12 })), many(least))),
      h('span', { class: 'step' }, s('svg', { width: 12, height: 12 }, s('rect', { class: 'failed', width: 12, height: 12 })), 'failed')] : null);
    pick();
  };

  // A column is drawn anew only where its counts or what it is drawn by have changed: most of the map stays as it is.
  const columns = () => {
    const by = [plan.rows.begin, plan.rows.end, plan.most, plan.wide, plan.high].join();
    const cellsOf = new Map();
    for (const cell of plan.cells) cellsOf.set(cell.column, [...(cellsOf.get(cell.column) ?? []), cell]);
    for (const [at, { group }] of drawn) {
      if (cellsOf.has(Math.round((at - view.from) / counts.step))) continue;
      group.remove();
      drawn.delete(at);
    }
    for (const [column, cells] of cellsOf) {
      const at = view.from + column * counts.step;
      const of = counts.columns.get(at);
      const one = drawn.get(at) ?? { group: s('g', {}) };
      if (one.of !== of || one.by !== by) {
        replace(one.group, cells.map(filledCell));
        drawn.set(at, { group: one.group, of, by });
        filled.append(one.group);
      }
      mark(one.group, 'transform', `translate(${(column * plan.wide).toFixed(1)} 0)`);
    }
  };
  const filledCell = ({ level, y, wide, high, failed }) => {
    const gap = (length) => (length > 5 ? length - 1 : length);
    const [across, up] = [gap(wide).toFixed(1), gap(high)];
    const red = Math.min(failed, up);
    return [s('rect', { class: `l${level}`, y: y.toFixed(1), width: across, height: up.toFixed(1) }),
      red ? s('rect', { class: 'failed', y: (y + up - red).toFixed(1), width: across, height: red.toFixed(1) }) : null];
  };

  const words = (part) => {
    const latency = part.slower === null && part.faster === null ? 'any latency'
      : part.slower === null ? `up to ${show.took(part.faster)}` : part.faster === null ? `over ${show.took(part.slower)}` : `${show.took(part.slower)} to ${show.took(part.faster)}`;
    const { count, errors } = part.count;
    return `${clock(part.from, asked.utc).slice(0, 8)} to ${clock(part.to, asked.utc).slice(0, 8)}, ${latency}: ${many(count)}${errors > 0 ? `, ${many(errors)} failed` : ''}`;
  };
  const pick = () => {
    picked.toggleAttribute('hidden', !corner);
    picked.style.display = corner ? '' : 'none';
    if (!corner) {
      say(readout, plan?.all > 0 ? `${many(plan.all)} in all${plan.failed > 0 ? `, ${many(plan.failed)} failed` : ''}. ${counts.cut ? 'Not everything was looked at: ask for less time. ' : ''}${document.activeElement === svg ? KEYS : HINT}` : 'Nothing took any time here.');
      return;
    }
    const to = far ?? corner;
    const [x, y] = [Math.min(corner.column, to.column) * plan.wide, (plan.rows.end - 1 - Math.max(corner.row, to.row)) * plan.high];
    mark(picked, 'x', x);
    mark(picked, 'y', y);
    mark(picked, 'width', (Math.abs(corner.column - to.column) + 1) * plan.wide);
    mark(picked, 'height', (Math.abs(corner.row - to.row) + 1) * plan.high);
    say(readout, words(enclosed(counts, view, plan, corner, to)));
  };
  const done = () => {
    const { from, to, slower, faster } = enclosed(counts, view, plan, corner, far ?? corner);
    [corner, far] = [null, null];
    chosen({ from: String(from), to: String(to), slower: slower === null ? undefined : written(slower), faster: faster === null ? undefined : written(faster) });
  };

  const under = (event) => {
    const at = svg.getBoundingClientRect();
    return cellAt(plan, event.clientX - at.left - EDGE.left, event.clientY - at.top - EDGE.top);
  };
  let drags = false;
  svg.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || !plan) return;
    drags = true;
    corner = under(event);
    far = corner;
    svg.setPointerCapture(event.pointerId);
    pick();
  });
  svg.addEventListener('pointermove', (event) => {
    if (!plan) return;
    if (drags) far = under(event);
    else if (event.pointerType === 'mouse') [corner, far] = [under(event), null];
    pick();
  });
  svg.addEventListener('pointerup', (event) => { if (drags) { drags = false; far = under(event); done(); } });
  svg.addEventListener('pointercancel', () => { drags = false; corner = far = null; pick(); });
  svg.addEventListener('pointerleave', () => { if (!drags && document.activeElement !== svg) { corner = null; pick(); } });
  svg.addEventListener('focus', () => { if (plan) pick(); });
  svg.addEventListener('blur', () => { corner = far = null; if (plan) pick(); });
  svg.addEventListener('keydown', (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!plan || event.ctrlKey || event.metaKey || event.altKey) return;
    if (move) {
      const from = far ?? corner ?? plan.cells.at(-1) ?? { column: plan.columns, row: plan.rows.begin };
      const at = { column: Math.max(0, Math.min(plan.columns - 1, from.column + move[0])), row: Math.max(plan.rows.begin, Math.min(plan.rows.end - 1, from.row + move[1])) };
      if (event.shiftKey && corner) far = at;
      else [corner, far] = [at, null];
      pick();
    } else if (event.key === 'Enter' && corner) done();
    else if (event.key === 'Escape' && corner) { corner = far = null; pick(); } else return;
    event.preventDefault();
  });

  // All of it, or what may have changed since.
  const ask = async (isAnew) => {
    const turn = ++asking;
    const { from, to } = range(asked);
    const step = isAnew ? round(to - from, Math.max(12, Math.floor(inner().width / COLUMN_WIDTH))) : counts.step;
    const next = { from: Math.floor(from / step) * step, to: Math.max(Math.ceil(to / step), Math.floor(from / step) + 1) * step };
    const since = isAnew ? next.from : Math.max(next.from, Math.floor((to - SETTLES_MS) / step) * step);
    try {
      const told = await get(`/api/traces/heat${query(asked, { from: since, to: next.to, columns: Math.round((next.to - since) / step) })}`);
      if (turn !== asking || signal.aborted) return;
      if (isAnew) { counts = new Counts(step); drawn.clear(); replace(filled); }
      counts.take(told);
      counts.forget(next.from);
      view = next;
      if (!drags) draw();
    } catch (error) {
      if (turn !== asking || signal.aborted) return;
      if (isAnew) { counts = null; drawn.clear(); replace(filled); }
      refused = error.status === 400;
      say(readout, error.message);
    }
  };
  const timer = setInterval(() => {
    if (asked && !refused && range(asked).live && !document.hidden && !drags) ask(!counts);
  }, EVERY_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
  let width = 0;
  addEventListener('resize', () => { if (box.clientWidth !== width) { width = box.clientWidth; draw(); } }, { signal });
  box.ask = (next) => { asked = { ...next }; corner = far = null; refused = false; ask(true); };
  return box;
}
