// Topics and queues: how many wait, a look at them, what failed and why, and having it done again.

import { ask } from './ask.js';
import { h, heads, Keyed, link, mark, replace, say } from './dom.js';
import * as show from './format.js';
import { readable } from './json.js';
import { get, part, post, query } from './net.js';
import { address, page } from './router.js';
import { doing } from './say.js';
import * as store from './store.js';
import { clock } from './time.js';

page('messages', (root, at, signal) => {
  const [kind, ...rest] = at.rest;
  if (kind === 'queue') return queue(root, rest.join('/'), at, signal);
  if (kind === 'topic') return topic(root, rest.join('/'), at, signal);
  return every(root, signal);
});

const table = (body, ...names) => h('div', { class: 'wide' }, h('table', {}, heads(...names), body));
const numbers = (count) => Array.from({ length: count }, () => h('td', { class: 'n' }));

// What is sent where nothing is begins it, so that the page of one that is not there is of use.
const unknown = (what) => (store.connection.state === 'live' && store.all('node/').length ? `There is no ${what} of that name yet: what is sent here begins it.` : '');

// Payloads that cannot be read any more are nobody's who waits for them.
function lost() {
  const note = h('p', { class: 'bad', role: 'status', hidden: true });
  get('/api/status').then(({ durable }) => {
    const { payloads_lost: gone = 0, payloads_unreadable: unread = 0 } = durable ?? {};
    note.hidden = !gone && !unread;
    say(note, [gone ? `${show.count(gone)} times a payload was to be read that is damaged on the disk and lost: colony data verify names them.` : null,
      unread ? `${show.count(unread)} times the disk could not read a payload; it is tried again.` : null].filter(Boolean).join(' '));
  }, () => {});
  return note;
}

function every(root, signal) {
  const [queues, topics] = [h('tbody', {}), h('tbody', {})];
  const [noQueue, noTopic] = [h('p', { class: 'empty' }, 'No queue holds anything here. What an application sends to one begins it.'), h('p', { class: 'empty' }, 'No topic was published to here. What an application publishes to one begins it.')];
  root.append(h('div', { class: 'head' }, h('h1', {}, 'Messages')), lost(), h('h2', {}, 'Queues'), noQueue, table(queues, 'Queue', ' Ready', ' Oldest', ' Later', ' At work', ' Blocked', ' Dead', ''),
    h('h2', {}, 'Topics'), noTopic, table(topics, 'Topic', ' Partitions', ' Kept', ' Size', 'Groups and their lag'));
  const ofQueue = new Keyed(queues, (one) => h('tr', {}, h('td', {}, link(address('messages', ['queue', one.name]), {}, one.name)), numbers(6), h('td', {})), (row, one) => {
    const cells = row.children;
    ['ready', null, 'delayed', 'leased', 'blocked', 'dead'].forEach((field, i) => {
      if (!field) return;
      say(cells[1 + i], show.count(one[field]));
      mark(cells[1 + i], 'class', !one[field] ? 'n zero' : field === 'dead' ? 'n bad' : 'n');
    });
    say(cells[2], age(one));
    say(cells[7], one.paused ? 'paused' : '');
  });
  const ofTopic = new Keyed(topics, (one) => h('tr', {}, h('td', {}, link(address('messages', ['topic', one.name]), {}, one.name)), numbers(3), h('td', {})), (row, one) => {
    const cells = row.children;
    say(cells[1], show.count(one.partitions));
    say(cells[2], show.count(one.messages));
    say(cells[3], show.bytes(one.bytes));
    say(cells[4], Object.entries(one.groups).map(([name, group]) => `${name} ${show.count(group.lag)}${group.aside ? `, ${group.aside} failing` : ''}`).join('; '));
  });
  const draw = () => {
    const nodes = store.all('node/');
    const [found, more] = [nodes.filter((node) => node.kind === 'queue'), nodes.filter((node) => node.kind === 'topic')];
    const some = [...found.filter((node) => !store.isOfJobs(node.name)), ...found.filter((node) => store.isOfJobs(node.name))];
    noQueue.hidden = some.length > 0;
    noTopic.hidden = more.length > 0;
    ofQueue.show(some, (one) => one.id);
    ofTopic.show(more, (one) => one.id);
  };
  store.watch(draw, signal);
  // What waits grows older without any news.
  const timer = setInterval(() => { if (!document.hidden) draw(); }, 1000);
  signal.addEventListener('abort', () => clearInterval(timer));
}

// How long ago that was sent which has been ready for longest.
const age = (queue) => (queue?.oldest_unix_ms ? show.span(Math.max(0, Date.now() - queue.oldest_unix_ms)) : '');
const FOLDED = 240;

// Payloads that somebody has unfolded stay so when their list is drawn anew.
const unfolded = new Set();
const trace = (one) => (one.trace ? link(`/traces/${one.trace}`, {}, 'Trace') : null);

function body(payload, key) {
  const text = payload.text ?? payload.base64;
  const shown = readable(payload);
  const whole = h('pre', {}, shown, payload.cut ? h('span', { class: 'dim' }, ` … ${show.bytes(payload.bytes)}`) : null);
  if (shown.length <= FOLDED) return whole;
  // A long one is a line until somebody wants to see it.
  const beginning = text.replace(/\s+/g, ' ').slice(0, 76);
  const folded = h('details', { class: 'payload' }, h('summary', { class: 'mono' }, `${beginning}…`, h('span', { class: 'dim' }, ` ${show.bytes(payload.bytes)}`)), whole);
  folded.open = unfolded.has(key);
  folded.addEventListener('toggle', () => { if (folded.open) unfolded.add(key); else unfolded.delete(key); });
  return folded;
}

function queue(root, name, at, signal) {
  const standing = h('p', {});
  const causes = h('tbody', {});
  const none = h('p', { class: 'empty' }, 'No dead letters.');
  const dead = table(causes, 'Reason', 'Cause', ' How many', 'Last', '');
  dead.hidden = true;
  const items = h('tbody', {});
  const tabs = h('div', { class: 'tabs' });
  const outcome = h('p', { class: 'dim', role: 'status' });
  let which = at.query.which ?? 'ready';
  const path = `/api/queues/${part(name)}`;
  const payload = h('textarea', { 'aria-label': 'Payload' }, '{"test": true}');
  const count = h('input', { type: 'number', value: 1, min: 1, max: 1000 });
  let sent = [];
  const undo = h('button', { hidden: true, onclick: () => doing(undo, (done) => `${done.cancelled} of ${done.asked} were taken back`, async () => {
    const done = await take(path, sent);
    sent = [];
    undo.hidden = true;
    look();
    return done;
  }) }, 'Take them back');
  const send = h('button', { class: 'main', onclick: () => doing(send, (done) => `${done.sent} sent`, async () => {
    const done = await post(`${path}/items`, { payload: payload.value, count: Number(count.value) });
    sent = [...sent, ...done.ids].slice(-1000);
    undo.hidden = false;
    look();
    return done;
  }) }, 'Send');
  const again = (cause, dry) => post(`${path}/redrive`, { dry_run: dry, cause: cause?.cause ?? '', reason: cause && cause.reason !== 'unknown' ? cause.reason : undefined });
  const words = (done) => (done.dry_run ? `${done.matching}${done.more ? ' or more' : ''} would be put back` : `${done.matching}${done.more ? ' or more' : ''} are put back`);
  const redrive = (cause) => [h('button', { class: 'plain', onclick: (event) => doing(event.target, null, () => again(cause, true).then((done) => say(outcome, words(done)))) }, 'Dry run'),
    h('button', { 'data-redrive': true, onclick: (event) => doing(event.target, null, () => again(cause, true)).then((found) => found && ask(`Put ${found.matching}${found.more ? ' or more' : ''} back?`,
      `They failed with: ${cause?.cause || 'no cause was given'}. They are handed out again, and fail again if that has not been mended.`, 'Put back',
      () => again(cause, false).then((done) => { say(outcome, ''); setTimeout(look, 300); return words(done); }))) }, 'Redrive')];
  root.append(h('div', { class: 'head' }, h('h1', {}, name), standing), h('h2', {}, 'Dead letters by cause'), none, dead, outcome,
    h('h2', {}, 'Items'), tabs, table(items, 'Id', 'Payload', 'Key', 'Sent', 'Failures', ''), h('h2', {}, 'Send a test message'), payload, h('p', {}),
    h('div', { class: 'row end' }, h('label', {}, 'How many', count), send, undo));
  const look = async () => {
    replace(tabs, ['ready', 'delayed', 'leased', 'blocked', 'dead'].map((one) => link(address('messages', ['queue', name], { which: one }), { 'aria-current': one === which ? 'page' : null }, { delayed: 'later', leased: 'at work' }[one] ?? one)));
    const [failed, found] = await Promise.all([get(`${path}/dead`), get(`${path}/items${query({ which })}`)]).catch((error) => { say(outcome, error.message); return []; });
    if (!found) return;
    none.hidden = failed.causes.length > 0;
    dead.hidden = !none.hidden;
    replace(causes, failed.causes.map((cause) => h('tr', {}, h('td', {}, cause.reason), h('td', { class: 'mono' }, cause.cause || h('span', { class: 'dim' }, 'none was given')), h('td', { class: 'n' }, show.count(cause.count)),
      h('td', { class: 'short' }, show.ago(cause.last_unix_ms)), h('td', { class: 'n' }, redrive(cause)))));
    replace(items, found.items.length ? found.items.map((item) => h('tr', {}, h('td', { class: 'mono short' }, item.id), h('td', { class: 'held' }, body(item.payload, `${name} ${item.id}`)), h('td', { class: 'mono' }, item.key), h('td', { class: 'short' }, show.ago(item.sent_unix_ms)),
      h('td', {}, item.failures.map((failure) => h('div', {}, `${failure.attempt}. ${failure.cause}`))), h('td', {}, trace(item)))) : h('tr', {}, h('td', { colspan: 6, class: 'empty' }, 'There are none.')));
  };
  let known;
  store.watch(() => {
    const now = store.get(`node/queue ${name}`);
    say(standing, now ? `${show.count(now.ready)} ready, ${show.count(now.delayed)} later, ${show.count(now.leased)} at work, ${show.count(now.dead)} dead${age(now) ? `; the oldest has waited ${age(now)}` : ''}` : unknown('queue'));
    const key = JSON.stringify(now);
    if (known !== key && !root.contains(document.activeElement?.closest?.('td button'))) { known = key; look(); }
  }, signal);
  return (to) => { which = to.query.which ?? 'ready'; look(); };
}

async function take(path, ids) {
  const answer = await fetch(`${path}/items`, { method: 'DELETE', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ids }) });
  return answer.json();
}

function topic(root, name, at, signal) {
  const path = `/api/topics/${part(name)}`;
  const [groups, failing, messages] = [h('tbody', {}), h('tbody', {}), h('tbody', {})];
  const failed = h('div', {}, h('h2', {}, 'Set aside, for they failed'), table(failing, 'Group', ' Partition', ' Offset', 'Key', ' Attempts', 'Cause', '', ''));
  const partition = h('select', { 'aria-label': 'Partition', onchange: () => look() });
  const payload = h('textarea', { 'aria-label': 'Payload' }, '{"test": true}');
  const key = h('input', { 'aria-label': 'Key' });
  const publish = h('button', { class: 'main', onclick: () => doing(publish, (done) => `published: partition ${done.partition}, offset ${done.offset}`, () =>
    post(`${path}/messages`, { payload: payload.value, key: key.value }).then((done) => { look(); return done; })) }, 'Publish');
  const standing = h('p', {});
  root.append(h('div', { class: 'head' }, h('h1', {}, name), standing), h('h2', {}, 'Groups'), table(groups, 'Group', ' Lag', ' Failing', ' Dead', ' Skipped'), failed,
    h('div', { class: 'head' }, h('h2', {}, 'Last messages'), partition), table(messages, ' Offset', 'Published', 'Key', 'Payload', ''),
    h('h2', {}, 'Publish a test message'), payload, h('p', {}), h('div', { class: 'row end' }, h('label', {}, 'Key', key), publish));
  const settle = (group, one, action, text) => h('button', { class: 'plain', onclick: (event) => {
    const settled = () => post(`${path}/resolve`, { group, action, partition: one.partition, offset: one.offset }).then((done) => { setTimeout(look, 300); return `${done.resolved} settled`; });
    if (action === 'skip') ask(`Skip partition ${one.partition}, offset ${one.offset}?`, `${group} never gets it: what it should have done for this message stays undone.`, 'Skip', settled);
    else doing(event.target, (said) => said, settled);
  } }, text);
  const look = async () => {
    const told = store.get(`node/topic ${name}`);
    const names = Object.keys(told?.groups ?? {});
    const asides = await Promise.all(names.map((group) => get(`${path}/failed${query({ group })}`).then((found) => found.failed.map((one) => [group, one]), () => [])));
    const found = await get(`${path}/messages${query({ partition: partition.value || 0 })}`).catch(() => null);
    failed.hidden = asides.flat().length === 0;
    replace(failing, asides.flat().map(([group, one]) => h('tr', {}, h('td', {}, group), h('td', { class: 'n' }, one.partition), h('td', { class: 'n' }, one.offset), h('td', { class: 'mono' }, one.key), h('td', { class: 'n' }, one.attempts),
      h('td', {}, one.cause, one.payload ? body(one.payload, `${name} ${one.partition}/${one.offset}`) : null), h('td', {}, trace(one)), h('td', { class: 'n' }, settle(group, one, 'retry', 'Try again'), settle(group, one, 'skip', 'Skip')))));
    if (!found) return;
    if (partition.options.length !== found.partitions) {
      partition.replaceChildren(...Array.from({ length: found.partitions }, (_, i) => h('option', { value: i }, `partition ${i}`)));
    }
    const last = found.messages.slice(-50).reverse();
    replace(messages, last.length ? last.map((one) => h('tr', {}, h('td', { class: 'n' }, one.offset), h('td', { class: 'mono' }, clock(one.unix_ms)), h('td', { class: 'mono' }, one.key), h('td', {}, body(one.payload, `${name} ${partition.value || 0}/${one.offset}`)), h('td', {}, trace(one))))
      : h('tr', {}, h('td', { colspan: 5, class: 'empty' }, 'Nothing is kept in this partition.')));
  };
  let known;
  store.watch(() => {
    const now = store.get(`node/topic ${name}`);
    say(standing, now ? `${show.count(now.partitions)} partitions, ${show.count(now.messages)} messages, ${show.bytes(now.bytes)}` : unknown('topic'));
    replace(groups, Object.entries(now?.groups ?? {}).map(([group, one]) => h('tr', {}, h('td', {}, group), h('td', { class: one.lag ? 'n warn' : 'n zero' }, show.count(one.lag)), h('td', { class: one.aside ? 'n bad' : 'n zero' }, show.count(one.aside)),
      h('td', { class: one.dead ? 'n' : 'n zero' }, show.count(one.dead)), h('td', { class: one.skipped ? 'n' : 'n zero' }, show.count(one.skipped)))));
    const changed = JSON.stringify(now);
    if (known !== changed) { known = changed; look(); }
  }, signal);
}
