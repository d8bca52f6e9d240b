// Something made to fail on purpose, for a time, and undone; beside it the map shows what follows.

import { ask } from './ask.js';
import { h, Keyed, link, mark, say } from './dom.js';
import { drawn } from './drawn.js';
import * as show from './format.js';
import { amiss } from './map.js';
import { part, post, remove } from './net.js';
import { address, go as goTo, page, turn } from './router.js';
import { doing } from './say.js';
import * as store from './store.js';

const WAYS = [['slow', 'Slow a call'], ['fail', 'Fail a call'], ['reset', 'Lose connections'], ['kill', 'Kill an instance'], ['fill', 'Fill a queue']];
const TIMES = [[30, '30 s'], [60, '1 min'], [300, '5 min'], [900, '15 min']];

page('break', (root, at, signal) => {
  const wayOf = ({ way: named, on }) => (WAYS.some(([name]) => name === named) ? named : on?.startsWith('queue ') ? 'fill' : 'fail');
  let [way, target] = [wayOf(at.query), at.query.on];
  const targets = h('select', { id: 'target', onchange: () => turn({ on: targets.value }, { replace: true }) });
  const number = (value, min, max) => h('input', { type: 'number', value, min, max });
  const [status, delay, percent, count] = [number(503, 400, 599), number(500, 1, 600000), number(100, 1, 100), number(100, 1, 1000)];
  const time = h('select', {}, TIMES.map(([value, text]) => h('option', { value }, text)));
  const field = (name, input) => h('label', {}, name, input);
  const where = h('span', {}, 'Where');
  const fields = { status: field('Status', status), delay: field('Delay, ms', delay), percent: field('% of tries', percent), count: field('Items', count), time: field('For', time) };
  const NEEDS = { slow: ['delay', 'percent', 'time'], fail: ['status', 'percent', 'time'], reset: ['percent', 'time'], kill: [], fill: ['count', 'time'] };
  const ways = WAYS.map(([name, text]) => h('button', { type: 'button', 'aria-pressed': 'false', 'data-way': name, onclick: () => turn({ way: name, on: null }) }, text));
  const go = h('button', { class: 'main', onclick: () => {
    if (way !== 'kill') doing(go, done, begin);
    else ask(`Kill ${targets.value}?`, 'Its process ends at once, as in a crash: requests in flight there are lost. It is started again.', 'Kill', () => begin().then(done));
  } }, 'Break it');
  const done = (outcome) => {
    if (outcome.killed !== undefined) return outcome.killed ? `${outcome.instance} was killed; it is started again` : `${outcome.instance} has no process`;
    return outcome.queue ? `${show.count(outcome.items)} items are in ${outcome.queue}` : `fault ${outcome.id} strikes ${outcome.on}`;
  };
  const begin = async () => {
    const on = targets.value;
    const for_ms = Number(time.value) * 1000;
    if (way === 'kill') return post(`/api/instances/${part(on)}/kill`).then((outcome) => { if (outcome.killed) killed(on); return outcome; });
    if (way === 'fill') return post('/api/fills', { queue: on, count: Number(count.value), payload: '{"test": true}', for_ms });
    const fault = { on, percent: Number(percent.value), for_ms };
    if (way === 'fail') fault.status = Number(status.value);
    if (way === 'slow') fault.delay_ms = [Number(delay.value), Number(delay.value)];
    if (way === 'reset') fault.reset = true;
    return post('/api/faults', fault);
  };

  const ends = h('p', {});
  const force = h('ul', { class: 'broken' });
  const none = h('p', { class: 'empty' }, 'Nothing is broken on purpose.');
  const all = h('button', { class: 'danger', onclick: () => doing(all, 'everything is undone', async () => {
    await Promise.all([remove('/api/faults'), ...store.all('fill/').map((fill) => remove(`/api/fills/${fill.id}`))]);
    return null;
  }) }, 'Undo all');
  const map = drawn({ choose: (id) => { if (id) goTo(address('map', [], { on: id })); }, signal, quiet: true });
  const follows = h('ul', { class: 'follows' });
  const calm = h('p', { class: 'empty' }, 'All is well.');
  root.append(
    h('div', { class: 'head' }, h('h1', {}, 'Break something'), ends),
    h('div', { class: 'break' },
      h('section', {}, h('div', { class: 'row ways', role: 'group', 'aria-label': 'What' }, ways),
        h('div', { class: 'row end' }, h('label', {}, where, targets), Object.values(fields), go),
        h('div', { class: 'head' }, h('h2', {}, 'In force'), h('span', { class: 'grow' }), all), none, force),
      h('section', { class: 'beside' }, h('div', { class: 'head' }, h('h2', {}, 'What follows'), h('span', { class: 'grow' }), link('/map', {}, 'The whole map')), map.element, calm, follows)),
  );

  // Instances that were killed here, until they are back.
  const away = new Map();
  const killed = (id) => { away.set(id, { at: Date.now() }); };

  let offered = null;
  const offer = () => {
    const nodes = store.all('node/');
    const instances = () => nodes.filter((node) => node.is_ours).flatMap((node) => node.instances.map((one) => one.id));
    const named = target?.replace(/^queue /, '');
    // What is put in where the node itself puts jobs does nothing that one could see.
    const queues = () => nodes.filter((node) => node.kind === 'queue' && (!store.isOfJobs(node.name) || node.name === named)).map((node) => node.name);
    const places = () => [...store.all('call/').map((call) => call.call), ...nodes.filter((node) => ['service', 'external'].includes(node.kind)).map((node) => node.name)];
    const names = { kill: instances, fill: queues }[way]?.() ?? places();
    for (const button of ways) mark(button, 'aria-pressed', String(button.dataset.way === way));
    for (const [name, element] of Object.entries(fields)) element.hidden = !NEEDS[way].includes(name);
    say(ends, way === 'kill' ? 'The process ends at once, as in a crash, and is started again. There is no undo.' : 'It ends by itself, and sooner by Undo.');
    say(where, { kill: 'Instance', fill: 'Queue' }[way] ?? 'Call, or all calls of');
    go.disabled = names.length === 0;
    const key = [way, ...names].join('\n');
    if (offered === key) return;
    const chosen = named || targets.value;
    offered = key;
    targets.replaceChildren(...names.map((name) => h('option', { value: name, selected: name === chosen }, name)), ...(names.length ? [] : [h('option', { value: '' }, 'there is none')]));
  };

  // When each ends, by the clock of this page: a document says it in whole seconds, and a second is long to look at.
  const ending = new Map();
  const left = (key, remaining_ms) => {
    const said = Date.now() + remaining_ms;
    const known = ending.get(key);
    if (known === undefined || Math.abs(known - said) > 1500) ending.set(key, said);
    return Math.max(0, ending.get(key) - Date.now());
  };
  const items = new Keyed(force, (item) => h('li', {}, h('div', {}, item.where, h('span', { class: 'dim' })), h('span', { class: 'n' }),
    item.undo ? h('button', { onclick: (event) => doing(event.target, item.undone, item.undo) }, 'Undo') : h('span', {}), h('progress', { max: 1, 'aria-label': 'Time left' })), (row, item) => {
    const [what, time, , bar] = row.children;
    say(what.lastElementChild, item.what);
    say(time, item.time);
    bar.value = item.part;
    mark(row, 'data-id', item.key);
  });
  const longest = new Map();
  const timed = (key, remaining_ms) => {
    const ms = left(key, remaining_ms);
    longest.set(key, Math.max(ms, longest.get(key) ?? 0));
    return { key, time: `${show.span(Math.ceil(ms / 1000) * 1000)} left`, part: ms / Math.max(1, longest.get(key)) };
  };
  const list = () => {
    const faults = store.all('fault/').map((fault) => ({ ...timed(`fault ${fault.id}`, fault.remaining_ms), where: link(address('map', [], { on: fault.on }), {}, fault.on),
      what: `${effect(fault)}; struck ${show.count(fault.struck)} of ${show.count(fault.tries)}`, undone: 'undone', undo: () => remove(`/api/faults/${fault.id}`) }));
    const fills = store.all('fill/').map((fill) => ({ ...timed(`fill ${fill.id}`, fill.remaining_ms), where: link(address('messages', ['queue', fill.queue]), {}, fill.queue),
      what: `${show.count(fill.items)} items were put in; ${standingOf(fill.queue)}`, undone: told, undo: () => remove(`/api/fills/${fill.id}`) }));
    const gone = [...away].map(([id, one]) => ({ key: `kill ${id}`, where: link(address('services', [id.replace(/-\d+$/, '')]), {}, id), what: back(id, one), time: show.span(Date.now() - one.at), part: 0 }));
    const every = [...faults, ...fills, ...gone];
    none.hidden = every.length > 0;
    all.hidden = faults.length + fills.length < 2;
    items.show(every, (item) => item.key);
  };
  // Whether an instance is back; then it is not told of any more after a while.
  const back = (id, one) => {
    const instance = store.all('node/').flatMap((node) => node.instances ?? []).find((other) => other.id === id);
    if (!one.down && instance?.state !== 'ready') one.down = true;
    if ((one.down || Date.now() - one.at > 4000) && instance?.state === 'ready') one.back ??= Date.now();
    if (one.back && Date.now() - one.back > 8000) away.delete(id);
    return one.back ? `is back after ${show.span(one.back - one.at)}` : `was killed: ${instance?.state ?? 'gone'}`;
  };
  const news = new Keyed(follows, (one) => h('li', {}, link(address('map', [], { on: one.id }), {}, one.name), ' ', h('span', {})), (row, one) => {
    say(row.lastElementChild, one.text);
    mark(row, 'class', one.state);
  });
  const follow = () => {
    map.draw();
    const every = amiss().slice(0, 12);
    say(calm, store.connection.isLost ? 'All was well.' : 'All is well.');
    calm.hidden = every.length > 0;
    news.show(every, (one) => one.id);
  };
  store.watch(() => { offer(); list(); follow(); }, signal);
  // The bars run down evenly.
  const tick = setInterval(list, 250);
  signal.addEventListener('abort', () => clearInterval(tick));
  return (to) => {
    [way, target, offered] = [wayOf(to.query), to.query.on, null];
    offer();
  };
});

const told = (done) => `${show.count(done.taken_back)} taken back${done.done ? `, ${show.count(done.done)} were worked on` : ''}${done.held_or_dead ? `, ${show.count(done.held_or_dead)} are at work or dead` : ''}`;

function standingOf(queue) {
  const node = store.get(`node/queue ${queue}`);
  return node ? `${show.count(node.ready)} ready, ${show.count(node.leased)} at work, ${show.count(node.dead)} dead` : 'nothing is in it';
}

function effect(fault) {
  const parts = [];
  if (fault.delay_ms) {
    const [least, most] = fault.delay_ms;
    parts.push(least === most ? `${least} ms late` : `${least} to ${most} ms late`);
  }
  if (fault.status) parts.push(`answers ${fault.status}`);
  if (fault.grpc_status !== null && fault.grpc_status !== undefined) parts.push(`answers gRPC ${fault.grpc_status}`);
  if (fault.reset) parts.push('loses connections');
  if (fault.slow_body) parts.push(`${fault.slow_body} bytes/s`);
  return `${parts.join(', ')}${fault.percent < 100 ? `, ${fault.percent} % of tries` : ''}${fault.path ? `, ${fault.path}` : ''}`;
}
