// Values as people read them: units by size, and the marks of an axis. Nothing here touches the page.

// What is told: how many of the base unit one of them is, and the words behind it. The largest that fits is taken.
const SIZES = {
  seconds: [[1e-6, 'µs'], [1e-3, 'ms'], [1, 's'], [60, 'min', 120], [3600, 'h', 7200], [86400, 'd', 172800]],
  bytes: [[1, 'B'], [1024, 'KiB'], [1024 ** 2, 'MiB'], [1024 ** 3, 'GiB'], [1024 ** 4, 'TiB']],
  share: [[0.01, '%']],
  count: [[1, ''], [1e3, 'k', 1e4], [1e6, 'M'], [1e9, 'G']],
};
SIZES['bytes/s'] = SIZES.bytes.map(([size, word]) => [size, `${word}/s`]);
SIZES['count/s'] = SIZES.count.map(([size, word, from]) => [size, `${word}/s`, from]);

const NONE = '–';
const MINUS = '−';

// In what a metric is told when so is taken of it; `of`: as a part of another one.
export function unitOf({ unit, kind }, take, of) {
  if (of) return 'share';
  const quantile = kind === 'histogram' && take !== 'rate' && take !== 'increase';
  if (quantile) return 'seconds';
  const each = kind !== 'gauge' && take !== 'increase';
  // Seconds of work in a second are a part of it.
  if (unit === 's' && kind === 'counter') return each ? 'share' : 'seconds';
  if (unit === 's' && kind === 'gauge') return 'seconds';
  if (unit === 'By') return each ? 'bytes/s' : 'bytes';
  if (unit === '1') return 'share';
  return each ? 'count/s' : 'count';
}

// The size in which a value of this unit is told.
export function sized(unit, value) {
  const sizes = SIZES[unit] ?? SIZES.count;
  const much = Math.abs(value);
  let found = sizes[0];
  if (much === 0) return unit === 'seconds' ? sizes[1] : found;
  for (const one of sizes) if (much >= (one[2] ?? one[0])) found = one;
  return found;
}

// Three digits, below one two, and no more than there are.
function digits(number) {
  const much = Math.abs(number);
  if (much >= 100 || much === 0) return Math.round(number).toLocaleString('en').replace('-', MINUS);
  const places = much >= 10 ? 1 : much >= 1 ? 2 : Math.min(6, 1 - Math.floor(Math.log10(much)));
  return String(Number(number.toFixed(places))).replace('-', MINUS);
}

const behind = (word) => (word === '' || word.startsWith('/') ? word : /^[kMG]/.test(word) && !word.includes('iB') ? word : ` ${word}`);

// A value with its unit.
export function told(unit, value) {
  if (value === null || value === undefined) return NONE;
  const [size, word] = sized(unit, value);
  return digits(value / size) + behind(word);
}

const NICE = [1, 2, 5, 10];

// Marks at round values that have all in between, and zero; at most about so many. `unit` is for how they are told: all in the same.
export function valueTicks(least, most, count, unit) {
  const [low, high] = [Math.min(0, least), Math.max(0, most)];
  const span = high - low || (unit === 'share' ? 0.01 : 1);
  const [size, word] = sized(unit, Math.max(Math.abs(low), Math.abs(high)) || span);
  const raw = span / size / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  let each = NICE.map((nice) => nice * power).find((nice) => nice >= raw * (1 - 1e-9));
  // What is counted has no halves.
  if (unit === 'count' && size === 1) each = Math.max(1, each);
  const places = Math.max(0, -Math.floor(Math.log10(each) + 1e-9));
  const first = Math.floor(low / size / each + 1e-9);
  // Where values go below zero, those above may be few: the axis ends with them.
  const last = low < 0 ? Math.floor(high / size / each + 1e-9) : Math.max(1, Math.ceil(high / size / each - 1e-9));
  const ticks = [];
  for (let at = first; at <= last; at += 1) {
    const text = (at * each).toFixed(places).replace('-', MINUS);
    ticks.push({ value: at * each * size, text: at === 0 ? `0${behind(word)}` : text + behind(word) });
  }
  return { ticks, low: first * each * size, high: Math.max(high, last * each * size) };
}

// From a range of values to a range of places.
export const linear = (from, to, low, high) => (value) => low + ((value - from) / (to - from || 1)) * (high - low);

// Marks of a part of an axis of nanoseconds, at round values, at most so many.
export function spanTicks(from, to, most) {
  const length = Math.max(1, to - from);
  const power = 10 ** Math.floor(Math.log10(length / most));
  const by = NICE.map((nice) => nice * power).find((one) => length / one <= most) ?? 10 * power;
  const found = [];
  for (let at = Math.ceil(from / by) * by; at <= to; at += by) found.push({ at, text: at === 0 ? '0' : written(at) });
  return found;
}

function written(ns) {
  for (const [unit, size] of [['s', 1e9], ['ms', 1e6], ['µs', 1e3]]) if (Math.abs(ns) >= size) return `${Number((ns / size).toPrecision(6))} ${unit}`;
  return `${Number(ns.toPrecision(6))} ns`;
}
