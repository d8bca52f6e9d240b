// A list that is read in pages: more is asked for as one comes to its end.

import { h, link, mark, replace, say } from './dom.js';
import { rows } from './rows.js';

// `cells(item)` makes the cells of a row, `key(item)` tells it apart, `to(item)` is where it leads, `isOn(item)` whether it is the one that is
// chosen; `more(after)` answers with a page: { items, next }. `anew()` begins again, `redraw()` is for when it leads elsewhere.
export function listing({ label, heads, height = () => 30, key, cells, to, isOn = () => false, more, empty }, signal) {
  let [items, next, asking, turn] = [[], '', false, 0];
  const note = h('p', { class: 'empty' });
  const ask = async () => {
    if (asking || next === null) return;
    const mine = turn;
    asking = true;
    if (!items.length) say(note, 'Looking …');
    try {
      let page;
      do {
        page = await more(next);
        if (mine !== turn || signal?.aborted) return;
        items = [...items, ...page.items];
        next = page.next ?? null;
        // A page may have nothing, and say where to go on.
      } while (next !== null && !page.items.length);
      say(note, items.length ? '' : empty);
    } catch (error) {
      if (mine !== turn) return;
      next = null;
      say(note, error.message);
    }
    asking = false;
    note.hidden = !note.textContent;
    box.show(items);
  };
  const box = rows({
    height, key, focus: (row) => row.firstElementChild, more: ask, role: 'list', 'aria-label': label,
    make: () => h('div', { role: 'listitem' }, link('', { class: 'line' })),
    update: (row, item) => {
      const line = row.firstElementChild;
      if (row.item !== item) {
        replace(line, cells(item));
        // A name may be longer than its column.
        const name = line.querySelector('.key');
        if (name) mark(name, 'title', name.textContent);
      }
      row.item = item;
      mark(line, 'href', to(item));
      mark(line, 'data-on', isOn(item));
      mark(line, 'aria-current', isOn(item) ? 'true' : null);
    },
  }, signal);
  const whole = h('div', { class: 'listing' }, heads ? h('div', { class: 'heads', 'aria-hidden': 'true' }, heads) : null, box, note);
  whole.anew = () => {
    turn += 1;
    [items, next, asking] = [[], '', false];
    box.show(items);
    ask();
  };
  whole.redraw = box.redraw;
  whole.anew();
  return whole;
}
