// Time: moments and stretches as addresses say them, how finely they are looked at, what a clock tells, and the marks of an axis. A clock is
// that of the computer that looks, or of UTC where `utc` is true. Nothing here touches the page.

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

// What is offered, by how it stands in an address.
export const PRESETS = [['-5m', '5 min'], ['-15m', '15 min'], ['-1h', '1 h'], ['-6h', '6 h'], ['-24h', '24 h']];
export const USUAL = '-15m';

const UNITS = { ns: 1e-6, us: 1e-3, 'µs': 1e-3, ms: 1, s: SECOND, m: MINUTE, min: MINUTE, h: HOUR, d: DAY };

// How long `1h30m` or `1.5s` is in milliseconds; null: it is no duration.
export function duration(text) {
  const parts = [...(text ?? '').matchAll(/\s*(\d+(?:\.\d+)?|\.\d+)\s*(ns|us|µs|ms|min|s|m|h|d)\s*/g)];
  if (!parts.length || parts.map(([whole]) => whole).join('') !== text) return null;
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit], 0);
}

// The latest that a clock can tell (ECMA-262, section 21.4.1.1).
const LATEST = 8.64e15;

// When that is: milliseconds since 1970, or `-15m` for what was then. Null: it is no time.
export function moment(text, now) {
  const at = /^\d+(\.\d+)?$/.test(text ?? '') ? Number(text) : now - (text?.startsWith('-') ? duration(text.slice(1)) ?? NaN : NaN);
  return Math.abs(at) <= LATEST ? Math.round(Math.max(0, at)) : null;
}

// What an address asks for; without an end it is live and goes on with the clock. What makes no sense is the usual.
export function range({ from, to } = {}, now = Date.now(), usual = USUAL) {
  const end = moment(to, now);
  const begin = moment(from, now) ?? Math.max(0, (end ?? now) - duration(usual.slice(1)));
  if (begin >= (end ?? now)) return range({}, now, usual);
  return { from: begin, to: end ?? now, live: end === null };
}

// What of an address that says a time is none, and what is looked at instead, as a sentence; null where all is.
export function misread({ from, to, since } = {}, now = Date.now()) {
  const none = (text) => text && moment(text, now) === null;
  if (none(from)) return `from=${from} is no time (milliseconds since 1970, or as -15m): 15 minutes are shown.`;
  if (none(to)) return `to=${to} is no time (milliseconds since 1970, or as -15m): the end is now.`;
  if (!from && since && none(`-${since}`)) return `since=${since} is no stretch of time (as 15m): 15 minutes are shown.`;
  const begin = from ? moment(from, now) : null;
  return begin !== null && begin >= (to ? moment(to, now) : now) ? 'It does not begin before it ends: the last 15 minutes are shown.' : null;
}

// Stretches of time that people count in.
const ROUND = [10, 20, 50, 100, 200, 500, ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND), ...[1, 2, 3, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR), ...[1, 2, 7, 14].map((n) => n * DAY)];

// The least of these, not below `least`, of which no more than `most` fit.
export function round(span, most, least = 0) {
  return ROUND.find((one) => one >= least && span / one <= most) ?? Math.ceil(span / most / ROUND.at(-1)) * ROUND.at(-1);
}

// Metrics are kept so finely, and what is older than an hour by the minute. A bit less, for a range that begins an hour ago begins before it
// is asked for.
const FINEST = 5 * SECOND;
const FINE = 58 * MINUTE;
// The node looks every five seconds; what it saw last may be so old.
const LAG = 6 * SECOND;

// How much of a range of metrics makes a point.
export const step = ({ from, to }, now = Date.now(), points = 150) => round(to - from, points, from < now - FINE ? MINUTE : FINEST);

// The range in whole steps, so that points stay where they are while it goes on. A live one ends with the last step that is whole.
export function aligned({ from, to, live }, size) {
  const end = live ? Math.floor((to - LAG) / size) * size : Math.ceil(to / size) * size;
  const count = Math.max(1, live ? Math.ceil((to - from) / size) : (end - Math.floor(from / size) * size) / size);
  return { from: end - count * size, to: end, step: size };
}

// How far a clock is ahead of that of Greenwich.
const ahead = (at, utc) => (utc ? 0 : -new Date(at).getTimezoneOffset() * MINUTE);

// What a calendar and a clock show; what is no time they do not.
function parts(at, utc) {
  const shown = new Date(at + ahead(at, utc));
  if (Number.isNaN(shown.getTime())) return { day: '–', time: '–' };
  const [day, time] = shown.toISOString().split('T');
  return { day, time: time.slice(0, 12) };
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
// `22 Nov`
const short = (day) => `${Number(day.slice(-2))} ${MONTHS[Number(day.slice(-5, -3)) - 1]}`;

// `14:03:07.120`
export const clock = (at, utc = false) => parts(at, utc).time;
// `2026-11-22 14:03:07.120`
export const dated = (at, utc = false) => { const { day, time } = parts(at, utc); return `${day} ${time}`; };

// `14:03:07`, with its day where that is another than today.
export function stamp(at, utc = false, now = Date.now()) {
  const { day, time } = parts(at, utc);
  return `${day === parts(now, utc).day ? '' : `${short(day)} `}${time.slice(0, 8)}`;
}

// The clock's name, as `UTC` or `UTC+02:00`.
export function zone(at, utc = false) {
  const off = ahead(at, utc);
  if (off === 0) return 'UTC';
  return `UTC${off < 0 ? '−' : '+'}${new Date(Math.abs(off)).toISOString().slice(11, 16)}`;
}

// For a field of a form, and back; null where it is no time.
export const field = (at, utc = false) => { const { day, time } = parts(at, utc); return `${day}T${time.slice(0, 8)}`; };
export function ofField(text, utc = false) {
  const at = Date.parse(utc ? `${text}Z` : text);
  return Number.isNaN(at) ? null : at;
}

// Marks of an axis at round times, at most so many, with what stands below them: the day where another one begins.
export function ticks(from, to, most, utc = false) {
  const size = round(to - from, most);
  const shift = ahead(from, utc);
  const found = [];
  for (let at = Math.ceil((from + shift) / size) * size - shift; at <= to; at += size) {
    const { day, time } = parts(at + shift, true);
    const text = time === '00:00:00.000' ? short(day) : time.slice(0, size < SECOND ? 12 : size < MINUTE ? 8 : 5);
    found.push({ at, text });
  }
  return found;
}
