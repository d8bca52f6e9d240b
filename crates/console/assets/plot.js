// Lines over time with their axes, drawn in SVG. Several plots that look at the same time share where one points to, and what one
// selects: a Sight. All of it can be done by keys: ← and → point, with Shift they select, Enter looks closer, Escape lets go.

import { h, Keyed, mark, replace, s, say } from './dom.js';
import { extent, last, nearest, path } from './curves.js';
import { linear, told, valueTicks } from './scale.js';
import { stamp, ticks } from './time.js';

const HEIGHT = 170;
const EDGE = { top: 8, right: 10, bottom: 20, left: 58 };
// Pixels that a drag is longer than.
const DRAG_LEAST = 4;

// What several plots have in common: the range, the place that is pointed to, the part that is selected, and what happened.
export class Sight {
  constructor({ onpoint, onselect }) {
    Object.assign(this, { onpoint, onselect, plots: new Set(), at: null, part: null, range: { from: 0, to: 1, step: 1 }, events: [] });
  }

  point(at) {
    if (at === this.at) return;
    this.at = at;
    for (const plot of this.plots) plot.point();
    this.onpoint?.(at);
  }

  select(part) {
    this.part = part;
    for (const plot of this.plots) plot.point();
  }

  // Takes the part that is selected for the range.
  enter() {
    const part = this.part;
    this.select(null);
    if (part && part[0] !== part[1]) this.onselect?.(Math.min(...part), Math.max(...part));
  }
}

let plots = 0;

// A chart within a sight. `onpick`: a series was chosen in the legend; `floor`: what is below leaves the chart, rather than making it
// as deep.
export function plot(sight, { label, height = HEIGHT, floor = -Infinity, onpick }) {
  const clip = `plot-${plots += 1}`;
  const inside = s('rect', { x: 0, y: EDGE.top - 2, height: height - EDGE.top - EDGE.bottom + 4 });
  const [grid, marks, lines, dots] = [s('g', { class: 'grid' }), s('g', { class: 'marks' }), s('g', { class: 'strokes', 'clip-path': `url(#${clip})` }), s('g', { class: 'dots' })];
  const band = s('rect', { class: 'band', y: EDGE.top, height: height - EDGE.top - EDGE.bottom });
  const hair = s('line', { class: 'hair', y1: EDGE.top, y2: height - EDGE.bottom });
  const svg = s('svg', { class: 'plot', height, tabindex: 0, role: 'slider', 'aria-label': label, 'aria-orientation': 'horizontal' }, s('clipPath', { id: clip }, inside), grid, marks, band, lines, hair, dots);
  const legend = h('div', { class: 'keys' });
  const none = h('p', { class: 'none', hidden: true });
  const whole = h('div', { class: 'chart' }, h('div', { class: 'canvas' }, svg, none), legend);
  let [width, series, unit, said] = [0, [], 'count', ''];
  let x = linear(0, 1, 0, 1);
  let y = x;
  const inner = () => Math.max(10, width - EDGE.left - EDGE.right);
  const timeAt = (event) => {
    const { from, to, step } = sight.range;
    const at = linear(EDGE.left, EDGE.left + inner(), from, to)(event.clientX - svg.getBoundingClientRect().left);
    return Math.min(to, Math.max(from, Math.round(at / step) * step));
  };

  const strokes = new Keyed(lines, () => s('path', {}), (element, one) => {
    mark(element, 'd', path(one.points, x, y));
    mark(element, 'data-hue', one.hue);
    mark(element, 'data-dash', one.dash || null);
  });
  const keys = new Keyed(legend, (one) => {
    const faint = (on) => { for (const [key, stroke] of strokes.shown) mark(stroke, 'data-faint', on && key !== one.id); };
    const item = h('button', { class: 'key', onpointerenter: () => faint(true), onpointerleave: () => faint(false), onfocus: () => faint(true), onblur: () => faint(false),
      onclick: () => onpick?.(item.series) }, s('svg', { class: 'swatch', width: 16, height: 8 }, s('path', { d: 'M1 4H15' })), h('span', { class: 'name' }), h('span', { class: 'value' }));
    return item;
  }, (item, one) => {
    item.series = one;
    mark(item.firstChild.firstChild, 'data-hue', one.hue);
    mark(item.firstChild.firstChild, 'data-dash', one.dash || null);
    say(item.children[1], one.name);
    mark(item, 'title', onpick ? `Only ${one.name}` : null);
    item.disabled = !onpick;
  });

  const axes = () => {
    const { from, to } = sight.range;
    const [low, high] = extent(series);
    const values = valueTicks(Math.max(low, floor), high, 4, unit);
    mark(inside, 'width', width);
    x = linear(from, to, EDGE.left, EDGE.left + inner());
    y = linear(values.low, values.high, height - EDGE.bottom, EDGE.top);
    replace(grid, values.ticks.map(({ value, text }) => [
      s('line', { x1: EDGE.left, x2: EDGE.left + inner(), y1: y(value), y2: y(value), 'data-zero': value === 0 }),
      s('text', { x: EDGE.left - 8, y: y(value) + 4, 'text-anchor': 'end' }, text),
    ]), ticks(from, to, Math.max(2, Math.floor(inner() / 90))).map(({ at, text }) => [
      s('line', { x1: x(at), x2: x(at), y1: height - EDGE.bottom, y2: height - EDGE.bottom + 4 }),
      // What would stand over the edge begins or ends there.
      s('text', { x: x(at), y: height - 4, 'text-anchor': x(at) > width - 24 ? 'end' : 'middle' }, text),
    ]));
    const seen = sight.events.filter(({ at }) => at >= from && at <= to);
    replace(marks, seen.map(({ at, kind }) => s('path', { 'data-kind': kind, d: `M${x(at).toFixed(1)} ${EDGE.top}V${height - EDGE.bottom}m-3 0h6l-3 -5z` })));
  };

  const show = () => {
    if (!width) return;
    axes();
    strokes.show(series, (one) => one.id);
    keys.show(series, (one) => one.id);
    legend.hidden = series.length === 0;
    none.hidden = series.length > 0;
    say(none, said || 'Nothing was measured in this range.');
    point();
  };

  // Where it is pointed to, what is there, and what is selected.
  const point = () => {
    const { at, part, range } = sight;
    hair.style.display = at === null ? 'none' : '';
    band.style.display = part ? '' : 'none';
    if (part) {
      mark(band, 'x', Math.min(...part.map(x)));
      mark(band, 'width', Math.abs(x(part[1]) - x(part[0])));
    }
    if (at !== null) {
      mark(hair, 'x1', x(at));
      mark(hair, 'x2', x(at));
    }
    const found = series.map((one) => (at === null ? last(one.points) : nearest(one.points, at, range.step)));
    replace(dots, at === null ? null : found.map((one, i) => (one && one[1] !== null && one[1] >= floor ? s('circle', { cx: x(one[0]), cy: y(one[1]), r: 3, 'data-hue': series[i].hue }) : null)));
    const values = found.map((one) => told(unit, one?.[1]));
    series.forEach((one, i) => say(keys.shown.get(one.id)?.children[2], values[i]));
    mark(svg, 'aria-valuemin', range.from);
    mark(svg, 'aria-valuemax', range.to);
    mark(svg, 'aria-valuenow', at ?? range.to);
    mark(svg, 'aria-valuetext', `${stamp(at ?? range.to)}: ${series.map((one, i) => `${one.name} ${values[i]}`).join(', ') || 'nothing'}`);
  };

  let held = null;
  svg.addEventListener('pointermove', (event) => {
    const at = timeAt(event);
    if (held && (sight.part || Math.abs(event.clientX - held.x) > DRAG_LEAST)) sight.select([held.at, at]);
    sight.point(at);
  });
  svg.addEventListener('pointerleave', () => { if (!held && !svg.matches(':focus-visible')) sight.point(null); });
  svg.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    held = { at: timeAt(event), x: event.clientX };
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener('pointerup', () => { held = null; sight.enter(); });
  svg.addEventListener('pointercancel', () => { held = null; sight.select(null); });
  svg.addEventListener('blur', () => sight.point(null));
  svg.addEventListener('keydown', (event) => {
    const { from, to, step } = sight.range;
    const by = { ArrowLeft: -step, ArrowRight: step, PageUp: -10 * step, PageDown: 10 * step, Home: from - to, End: to - from }[event.key];
    if (by !== undefined) {
      const before = sight.at ?? to;
      const at = Math.min(to, Math.max(from, before + by));
      if (event.shiftKey) sight.select([sight.part?.[0] ?? before, at]);
      sight.point(at);
    } else if (event.key === 'Enter' && sight.part) sight.enter();
    else if (event.key === 'Escape') {
      sight.select(null);
      sight.point(null);
    } else return;
    event.preventDefault();
  });

  const sizes = new ResizeObserver(([entry]) => {
    const next = Math.floor(entry.contentRect.width);
    if (next === width) return;
    width = next;
    mark(svg, 'width', width);
    show();
  });
  sizes.observe(whole);
  const ours = { point };
  sight.plots.add(ours);
  whole.end = () => {
    sizes.disconnect();
    sight.plots.delete(ours);
  };
  // The series with what they are told in; or words that say why there are none.
  whole.show = (next, in_, words = '') => {
    [series, unit, said] = [next, in_, words];
    show();
  };
  return whole;
}
