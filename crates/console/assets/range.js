// The range of time that a page looks at: chosen from a few, moved, or set; it stands in the address as `from` and `to`. Where no end
// is set, it goes on with the clock.

import { h, mark, say } from './dom.js';
import { place, turn } from './router.js';
import { field, misread, ofField, PRESETS, range, stamp, USUAL, zone } from './time.js';

// What of `from` and `to` says so; anything else that the address says stays as it is.
const go = (from, to = null, options) => turn({ from: from === USUAL && to === null ? null : from, to }, options);

const isUtc = () => place().query.utc === 'true';

export const choose = (from, to) => go(String(Math.round(from)), String(Math.round(to)));

// By which clock times are told; `show()` has it follow the address.
export function clockControl() {
  const control = h('button', { class: 'plain', title: 'Times of this computer, or UTC', onclick: () => turn({ utc: isUtc() ? null : 'true' }) });
  control.show = () => say(control, `times: ${isUtc() ? 'UTC' : `local, ${zone(Date.now())}`}`);
  return control;
}

// The control; `show()` has it follow the address.
export function rangeControl() {
  const presets = PRESETS.map(([from, text]) => h('button', { onclick: () => go(from), 'data-from': from }, text));
  const own = h('button', { onclick: () => { fields.hidden = !fields.hidden; fill(); if (!fields.hidden) begin.focus(); } }, 'Own');
  const begin = h('input', { type: 'datetime-local', step: 1, 'aria-label': 'From' });
  const end = h('input', { type: 'datetime-local', step: 1, 'aria-label': 'To' });
  const set = () => {
    const [from, to] = [begin, end].map((one) => ofField(one.value, isUtc()));
    if (from !== null && to !== null && from < to) { fields.hidden = true; choose(from, to); } else begin.focus();
  };
  const fields = h('form', { class: 'row', hidden: true, onsubmit: (event) => { event.preventDefault(); set(); } }, begin, '–', end, h('button', { class: 'main' }, 'Set'));
  const words = h('span', { class: 'words' });
  const move = (text, title, by) => h('button', { title, 'aria-label': title, onclick: () => {
    const now = range(place().query);
    const span = now.to - now.from;
    choose(now.from + by[0] * span, now.to + by[1] * span);
  } }, text);
  const earlier = move('←', 'Earlier', [-0.5, -0.5]);
  const later = move('→', 'Later', [0.5, 0.5]);
  const wider = move('−', 'Twice as long', [-0.5, 0.5]);
  const live = h('button', { onclick: () => go(null) }, 'Live');
  const fixed = h('span', { class: 'row' }, words, earlier, later, wider, live);
  const wrong = h('p', { class: 'bad', role: 'status' });
  const control = h('div', { class: 'range row', role: 'group', 'aria-label': 'Time' }, presets, own, fixed, fields, wrong);
  const fill = () => {
    const { from, to } = range(place().query);
    begin.value = field(from, isUtc());
    end.value = field(to, isUtc());
  };
  control.show = () => {
    const { query } = place();
    const now = range(query);
    const told = [stamp(now.from, isUtc()), now.live ? 'now' : stamp(now.to, isUtc())].join(' – ');
    say(wrong, misread(query));
    let isOffered = false;
    for (const button of presets) {
      const isOn = now.live && button.dataset.from === (query.from ?? USUAL);
      isOffered ||= isOn;
      mark(button, 'aria-pressed', String(isOn));
    }
    mark(own, 'aria-pressed', String(!isOffered));
    fixed.hidden = isOffered;
    live.hidden = now.live;
    say(words, told);
  };
  control.show();
  return control;
}
