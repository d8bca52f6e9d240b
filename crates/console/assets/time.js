// Ranges of time as addresses say them, how finely they are looked at, and the marks of a time axis. Nothing here touches the page.

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

// What is offered, by how it stands in an address.
export const PRESETS = [['-5m', '5 min'], ['-15m', '15 min'], ['-1h', '1 h'], ['-6h', '6 h'], ['-24h', '24 h']];
export const USUAL = '-15m';

const UNITS = { ms: 1, s: SECOND, m: MINUTE, min: MINUTE, h: HOUR, d: DAY };

// How long `1h30m` is in milliseconds; null: it is no duration.
export function duration(text) {
  const parts = [...(text ?? '').matchAll(/(\d+)\s*(ms|min|s|m|h|d)\s*/g)];
  if (!parts.length || parts.map(([whole]) => whole).join('') !== text) return null;
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit], 0);
}

// When that is: milliseconds since 1970, or `-15m` for what was then. Null: it is no time.
export function moment(text, now) {
  if (/^\d+$/.test(text ?? '')) return Number(text);
  const ago = text?.startsWith('-') ? duration(text.slice(1)) : null;
  return ago === null ? null : now - ago;
}

// What an address asks for; without an end it is live and goes on with the clock. What makes no sense is the usual.
export function range({ from, to } = {}, now = Date.now(), usual = USUAL) {
  const end = moment(to, now);
  const begin = moment(from, now) ?? (end === null ? moment(usual, now) : end + moment(usual, 0));
  if (begin >= (end ?? now)) return range({}, now, usual);
  return { from: begin, to: end ?? now, live: end === null, ago: end === null ? now - begin : null };
}

const STEPS = [5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400].map((s) => s * SECOND);
// What is older than an hour is kept by the minute. A bit less, for a range that begins an hour ago begins before it is asked for.
const FINE = 58 * MINUTE;
// The node looks every five seconds; what it saw last may be so old.
const LAG = 6 * SECOND;

// How much of a range makes a point.
export function step({ from, to }, now = Date.now(), points = 150) {
  const least = from < now - FINE ? MINUTE : STEPS[0];
  return STEPS.find((one) => one >= least && (to - from) / one <= points) ?? Math.ceil((to - from) / points / DAY) * DAY;
}

// The range in whole steps, so that points stay where they are while it goes on. A live one ends with the last step that is whole.
export function aligned({ from, to, live }, size) {
  const end = live ? Math.floor((to - LAG) / size) * size : Math.ceil(to / size) * size;
  const count = Math.max(1, live ? Math.ceil((to - from) / size) : (end - Math.floor(from / size) * size) / size);
  return { from: end - count * size, to: end, step: size };
}

const MARKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600].map((s) => s * SECOND);
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (number) => String(number).padStart(2, '0');

// The minutes that a clock here is ahead of that of Greenwich.
const ahead = (at) => -new Date(at).getTimezoneOffset();

// The parts of a moment on a clock that is so many minutes ahead.
function parts(at, offset) {
  const date = new Date(at + offset * MINUTE);
  return { month: MONTHS[date.getUTCMonth()], day: date.getUTCDate(), h: two(date.getUTCHours()), m: two(date.getUTCMinutes()), s: two(date.getUTCSeconds()) };
}

// Marks at round times, at most so many, with what stands below them.
export function timeTicks(from, to, most, offset = ahead(from)) {
  const size = MARKS.find((one) => (to - from) / one <= most) ?? MARKS.at(-1);
  const shift = offset * MINUTE;
  const ticks = [];
  for (let at = Math.ceil((from + shift) / size) * size - shift; at <= to; at += size) {
    const { month, day, h, m, s } = parts(at, offset);
    const midnight = (at + shift) % DAY === 0;
    const text = midnight ? `${day} ${month}` : size < MINUTE ? `${h}:${m}:${s}` : `${h}:${m}`;
    ticks.push({ at, text });
  }
  return ticks;
}

// A moment in words; with its day where that is another than today.
export function stamp(at, now = Date.now(), offset = ahead(at)) {
  const { month, day, h, m, s } = parts(at, offset);
  const today = Math.floor((at + offset * MINUTE) / DAY) === Math.floor((now + offset * MINUTE) / DAY);
  return `${today ? '' : `${day} ${month} `}${h}:${m}:${s}`;
}

// As a field for a date and a time has it, and back.
export function local(at, offset = ahead(at)) {
  return new Date(at + offset * MINUTE).toISOString().slice(0, 19);
}
