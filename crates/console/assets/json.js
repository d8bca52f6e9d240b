// Values as they are kept: JSON as a tree that folds, text as text, bytes in hexadecimal; and how two of them differ.

import { h, replace } from './dom.js';
import { bytes } from './format.js';

// Up to which depth and how many members a tree is open at first.
const OPEN_DEPTH = 3;
const OPEN_MEMBERS = 40;
const HEX_BYTES = 1024;
// A tree of so many characters is told on a line.
const LINE_MOST = 72;
// Beyond so many pairs of lines no difference is looked for.
const DIFF_CELLS = 4e6;

// Numbers stay as they are written: a browser's own have 53 bits.
function parse(text) {
  JSON.parse(text);
  const tokens = text.match(/[{}[\],:]|"(?:[^"\\]|\\.)*"|[^\s{}[\],:"]+/g);
  let at = 0;
  const value = () => {
    const token = tokens[at++];
    if (token === '{' || token === '[') {
      const [kind, end] = token === '{' ? ['object', '}'] : ['array', ']'];
      const members = [];
      while (tokens[at] !== end) {
        if (tokens[at] === ',') at += 1;
        const name = kind === 'object' ? tokens[at] : null;
        if (name !== null) at += 2;
        members.push([name, value()]);
      }
      at += 1;
      return { kind, members };
    }
    const kind = token[0] === '"' ? 'string' : /^[tfn]/.test(token) ? 'word' : 'number';
    return { kind, token };
  };
  return value();
}

function read(text) {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

const ends = { object: ['{', '}'], array: ['[', ']'] };

function drawn(node, before, after, depth) {
  if (!node.members) return h('div', {}, before, h('span', { class: `js-${node.kind}` }, node.token), after);
  const [open, close] = ends[node.kind];
  const count = node.members.length;
  if (!count) return h('div', {}, before, open, close, after);
  const inside = h('div', { class: 'inside' });
  const fill = () => inside.firstChild || inside.append(...node.members.map(([name, child], i) =>
    drawn(child, name === null ? null : [h('span', { class: 'js-name' }, name), ': '], i + 1 < count ? ',' : null, depth + 1)));
  const isOpen = depth < OPEN_DEPTH && count <= OPEN_MEMBERS;
  const folded = node.kind === 'object' ? `${count} member${count === 1 ? '' : 's'}` : `${count} item${count === 1 ? '' : 's'}`;
  const whole = h('details', { open: isOpen }, h('summary', {}, before, open, h('span', { class: 'folded' }, ` ${folded} ${close}`)), inside, h('div', {}, close, after));
  if (isOpen) fill();
  whole.addEventListener('toggle', fill, { once: !isOpen });
  return whole;
}

function hex(base64) {
  const all = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).subarray(0, HEX_BYTES);
  const rows = [];
  for (let at = 0; at < all.length; at += 16) {
    const row = [...all.subarray(at, at + 16)];
    const shown = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ').padEnd(47);
    rows.push(`${at.toString(16).padStart(4, '0')}  ${shown}  ${row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : '.')).join('')}`);
  }
  return rows.join('\n');
}

// A payload as the API tells it.
export function value(payload) {
  if (!payload) return h('p', { class: 'dim' }, 'Not kept.');
  const node = payload.text !== undefined && !payload.cut ? read(payload.text) : null;
  const shown = node ? h('div', { class: 'json' }, drawn(node, null, null, 0)) : h('pre', {}, payload.text ?? hex(payload.base64));
  const hidden = payload.text === undefined ? payload.bytes > HEX_BYTES : payload.cut;
  return h('div', { class: 'value' }, shown, hidden ? h('p', { class: 'dim' }, `The beginning of ${bytes(payload.bytes)}.`) : null);
}

// One line of it.
export function glimpse(payload) {
  if (!payload) return '';
  return payload.text === undefined ? `${bytes(payload.bytes)}, no text` : payload.text.slice(0, 300).replace(/\s+/g, ' ');
}

function lines(node, name, depth, last, all) {
  const begin = `${'  '.repeat(depth)}${name === null ? '' : `${name}: `}`;
  const comma = last ? '' : ',';
  if (!node.members?.length) {
    all.push(`${begin}${node.token ?? ends[node.kind].join('')}${comma}`);
    return all;
  }
  all.push(begin + ends[node.kind][0]);
  node.members.forEach(([each, child], i) => lines(child, each, depth + 1, i + 1 === node.members.length, all));
  all.push(`${'  '.repeat(depth)}${ends[node.kind][1]}${comma}`);
  return all;
}

// A payload as lines: JSON as it is written most often.
export function pretty(payload) {
  const node = payload?.text === undefined ? null : read(payload.text);
  return node ? lines(node, null, 0, true, []) : (payload?.text ?? payload?.base64 ?? '').split('\n');
}

// The same as a text; a short tree is a line.
export function readable(payload) {
  const lines = pretty(payload);
  const line = /^[[{]$/.test(lines[0]) ? lines.map((one) => one.trim()).join(' ') : '';
  return line && line.length <= LINE_MOST ? line : lines.join('\n');
}

// What became of one sequence of lines in another: the longest common subsequence stays, by the textbook's table.
export function compare(was, is) {
  let [start, left, right] = [0, was.length, is.length];
  while (start < left && start < right && was[start] === is[start]) start += 1;
  while (left > start && right > start && was[left - 1] === is[right - 1]) { left -= 1; right -= 1; }
  const [a, b] = [was.slice(start, left), is.slice(start, right)];
  if (a.length * b.length > DIFF_CELLS) return null;
  const width = b.length + 1;
  const common = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const here = i * width + j;
      common[here] = a[i] === b[j] ? common[here + width + 1] + 1 : Math.max(common[here + width], common[here + 1]);
    }
  }
  const found = was.slice(0, start).map((line) => [' ', line]);
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { found.push([' ', a[i]]); i += 1; j += 1; }
    else if (i < a.length && (j === b.length || common[(i + 1) * width + j] >= common[i * width + j + 1])) { found.push(['-', a[i]]); i += 1; }
    else { found.push(['+', b[j]]); j += 1; }
  }
  return [...found, ...was.slice(left).map((line) => [' ', line])];
}

// How one payload became another, changed lines with what stands around them.
export function difference(was, is) {
  const found = compare(pretty(was), pretty(is));
  if (!found) return h('p', { class: 'dim' }, 'They are too long to be compared here.');
  if (found.every(([mark]) => mark === ' ')) return h('p', { class: 'dim' }, 'They are the same.');
  const near = found.map((_, at) => found.slice(Math.max(0, at - 3), at + 4).some(([mark]) => mark !== ' '));
  const rows = [];
  found.forEach(([mark, line], at) => {
    if (near[at]) rows.push(h('div', { class: { '+': 'added', '-': 'removed' }[mark] }, `${mark} ${line}`));
    else if (at === 0 || near[at - 1]) rows.push(h('div', { class: 'dim' }, '…'));
  });
  return h('pre', { class: 'block diff' }, rows);
}

// Which of several versions are compared: two choices, of which the address knows. Versions are [name, label, payload].
export function comparison(versions, [from, to], turn) {
  const root = h('div', { class: 'comparison' });
  if (versions.length < 2) return root;
  const choice = (label, chosen, other, mine) => h('label', {}, label, h('select', { 'aria-label': label, onchange: (event) => turn(mine === 'from' ? [event.target.value, other] : [other, event.target.value]) },
    h('option', { value: '' }, mine === 'from' ? 'Compare …' : 'with …'), versions.map(([name, text]) => h('option', { value: name, selected: name === chosen }, text))));
  const [a, b] = [from, to].map((name) => versions.find(([one]) => one === name));
  return replace(root, h('div', { class: 'row end' }, choice('From', from, to, 'from'), choice('To', to, from, 'to'), a || b ? h('button', { class: 'plain', onclick: () => turn(['', '']) }, 'Close') : null),
    a && b ? difference(a[2], b[2]) : null);
}
