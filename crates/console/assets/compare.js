// Two traces beside each other, each from its own beginning: what both have on one row, with how much longer it took.

import { h, isNarrow, link, mark, replace, say } from './dom.js';
import * as show from './format.js';
import { get, part } from './net.js';
import { address, turn } from './router.js';
import { rows as rowsOf } from './rows.js';
import { aligned, isWait, lengths, startNs } from './spans.js';
import { dated, zone } from './time.js';
import { failed, KINDS, ticks } from './waterfall.js';

const INDENT = 14;
const DEPTH_MAX = 14;
// Differences that are said to be one: a twentieth, and a millisecond.
const matters = (row) => row.delta === null || (Math.abs(row.delta) > 1e6 && Math.abs(row.delta) > 0.05 * row.a.duration_ns);

export function compare(root, id, at, signal) {
  let [one, other, only, later] = [null, null, at.query.only === 'true', at.query.later === 'true'];
  const { with: otherId } = at.query;
  const utc = at.query.utc === 'true';
  const head = h('div', {});
  const narrowed = h('button', { onclick: () => turn({ only: only ? '' : 'true' }, { replace: true }) }, 'Only what differs');
  const after = h('button', { onclick: () => turn({ later: later ? '' : 'true' }, { replace: true }) });
  const bar = h('div', { class: 'row tools', hidden: true }, narrowed, after, h('span', { class: 'grow' }), h('span', { class: 'legend' }, h('span', { class: 'step' }, h('i', { class: 'piece on' }), 'A'), h('span', { class: 'step' }, h('i', { class: 'piece off' }), 'B'), h('span', { class: 'step' }, h('i', { class: 'piece wait' }), 'waited')));
  const axis = h('div', { class: 'axis pair', hidden: true }, h('span', { class: 'label' }, 'Span'), h('span', { class: 'n' }, 'A'), h('span', { class: 'n' }, 'B'), h('span', { class: 'n' }, 'B − A'), h('span', { class: 'bars' }));
  const none = h('p', { class: 'empty', hidden: true }, 'Nothing differs by more than a millisecond and a twentieth.');
  const box = rowsOf({ height: () => (isNarrow() ? 46 : 28), key: (row) => row.key, make, update: fill, role: 'list', 'aria-label': 'Spans of both' }, signal);
  root.append(head, bar, h('div', { class: 'water' }, axis, box), none);

  function make() {
    return h('div', { class: 'span pair', role: 'listitem' }, h('span', { class: 'label' }, h('span', { class: 'who' }), ' ', h('span', { class: 'what' })), [0, 1, 2].map(() => h('span', { class: 'n' })), h('span', { class: 'bars' }));
  }
  const longest = (which = isApart() && !later ? 'request' : 'whole') => Math.max(lengths(one)[which], lengths(other)[which]);
  const isApart = () => lengths(one).isApart || lengths(other).isApart;
  const piece = (span, trace, kind) => {
    if (!span) return null;
    const element = h('i', { class: `piece ${kind}${isWait(span) ? ' wait' : ''}${span.status === 'error' ? ' bad' : ''}` });
    const [begin, end] = [startNs(span, trace) / longest(), (startNs(span, trace) + span.duration_ns) / longest()];
    if (begin > 1) return null;
    element.style.left = `${begin * 100}%`;
    element.style.width = `max(2px, ${(Math.min(1, end) - begin) * 100}%)`;
    return element;
  };
  function fill(element, row) {
    const [label, a, b, delta, bars] = element.children;
    const span = row.a ?? row.b;
    say(label.firstElementChild, span.service);
    say(label.lastElementChild, `${KINDS[span.kind] ? `${KINDS[span.kind]} ` : ''}${span.name}`);
    mark(label, 'title', `${span.service} ${span.name}`);
    label.style.paddingLeft = `${2 + Math.min(row.depth, DEPTH_MAX) * (isNarrow() ? 8 : INDENT)}px`;
    for (const [cell, side, trace] of [[a, row.a, one], [b, row.b, other]]) {
      replace(cell, side ? link(address('traces', [trace.trace_id], { span: side.span_id }), { class: side.status === 'error' ? 'bad' : '' }, show.took(side.duration_ns)) : h('span', { class: 'dim' }, '–'));
    }
    say(delta, row.delta === null ? (row.a ? 'only in A' : 'only in B') : row.delta === 0 ? '0' : `${row.delta > 0 ? '+' : ''}${show.took(row.delta)}`);
    mark(delta, 'class', !matters(row) ? 'n dim' : row.delta === null ? 'n warn' : row.delta > 0 ? 'n bad' : 'n good');
    const away = [['A', row.a, one], ['B', row.b, other]].filter(([, side, trace]) => side && startNs(side, trace) > longest()).map(([word, side, trace]) => `${word} at ${show.took(startNs(side, trace))}`);
    const words = away.length ? h('span', { class: 'remark dim' }, `${away.join(', ')} →`) : null;
    if (words) words.style.right = '6px';
    replace(bars, piece(row.a, one, 'on'), piece(row.b, other, 'off'), words);
  }
  const draw = () => {
    const all = aligned(one, other);
    const shown = only ? all.filter(matters) : all;
    mark(narrowed, 'aria-pressed', String(only));
    after.hidden = !isApart();
    say(after, `With what they set off, ${show.took(longest('whole'))}`);
    mark(after, 'aria-pressed', String(later));
    none.hidden = shown.length > 0;
    replace(axis.lastElementChild, ticks(axis.lastElementChild, 0, longest()));
    box.show(shown);
  };
  const line = (word, trace) => h('div', {}, h('b', {}, word), ' ', link(address('traces', [trace.trace_id]), {}, `${trace.service} ${trace.name}`), ` ${show.took(trace.first_duration_ns)}, ${trace.span_count} spans, `,
    trace.error_count ? h('span', { class: 'bad' }, `${trace.error_count} failed, `) : '', h('span', { class: 'dim' }, `${dated(trace.start_us / 1000, utc)} ${zone(trace.start_us / 1000, utc)}`));
  Promise.all([get(`/api/traces/${part(id)}`), get(`/api/traces/${part(otherId)}`)]).then((both) => {
    if (signal.aborted) return;
    [one, other] = both;
    const delta = other.first_duration_ns - one.first_duration_ns;
    replace(head, h('div', { class: 'head' }, h('h1', {}, link('/traces', {}, 'Traces'), h('span', { class: 'dim' }, ' / '), 'A and B'), h('p', {}, delta === 0 ? 'They took the same time.' : `B took ${show.took(Math.abs(delta))} ${delta > 0 ? 'longer' : 'less'}.`), h('span', { class: 'grow' }),
      link(address('traces', [otherId], { with: id, utc: utc ? 'true' : '' }), {}, 'The other way round')), h('div', { class: 'facts' }, line('A', one), line('B', other)));
    bar.hidden = axis.hidden = false;
    draw();
  }, (error) => { if (!signal.aborted) replace(head, failed(error, `${id} ${otherId}`)); });
  addEventListener('resize', () => { if (one) draw(); }, { signal });
  return (to) => { [only, later] = [to.query.only === 'true', to.query.later === 'true']; if (one) draw(); };
}
