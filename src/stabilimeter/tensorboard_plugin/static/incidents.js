// A lane per seed with its incidents; one of them enlarged, with what moved around it.

import {checkbox, h, button} from './dom.js';
import {lineChart} from './chart.js';
import {KINDS, STATES, colors, faded} from './palette.js';

const MANY_LANES = 30;
const TOO_CLOSE = 0.013;  // of the width of a lane
const MAX_TOLD = 6;

function ticks(last) {
  const rough = last / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const apart = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= rough) * power);
  return Array.from({length: Math.floor(last / apart) + 1}, (_, at) => at * apart);
}

// Incidents so close that their marks would hide each other share one, which shows the gravest of them and how many.
function clusters(events, last) {
  const found = [];
  for (const event of [...events].sort((one, other) => one.step - other.step)) {
    const near = found.at(-1);
    if (near && event.step - near[0].step < TOO_CLOSE * last) near.push(event);
    else found.push([event]);
  }
  return found;
}

function mark(events, lane, last, shown) {
  const {state} = shown;
  const order = Object.keys(KINDS);
  const event = events.reduce((most, one) => (order.indexOf(one.kind) < order.indexOf(most.kind) ? one : most));
  const {glyph, color} = KINDS[event.kind];
  const shared = events.some((one) => one.shared);
  const words = events.slice(0, MAX_TOLD).map((one) => `step ${one.step}: ${one.words}`);
  if (events.length > MAX_TOLD) words.push(`and ${events.length - MAX_TOLD} more`);
  return h('button', {
    type: 'button', onclick: () => shown.again({run: lane.path, incident: event.index}),
    class: `mark${shared ? ' shared' : ''}`, id: `mark-${lane.path}-${event.index}`, 'data-n': events.length,
    title: words.join('\n') + (shared ? '\nshared by several seeds' : ''), 'aria-label': `${lane.name}, ${words.join('; ')}`,
    'aria-pressed': String(state.run === lane.path && events.some((one) => one.index === state.incident)),
    style: {left: `${(100 * event.step) / last}%`, color},
  }, glyph, events.length > 1 && h('sup', {}, String(events.length)));
}

function laneRow(lane, last, hidden, shown) {
  const {state} = shown;
  const mine = state.run === lane.path;
  const drawn = lane.events.filter((event) => !hidden.has(event.kind));
  const lost = lane.lost_at !== null && button('✕', () => shown.again({run: lane.path, incident: null}), {
    class: 'mark lost-mark', title: `${lane.name} lost at step ${lane.lost_at}: ${lane.why}`, id: `lost-${lane.path}`,
    'aria-label': `${lane.name} lost at step ${lane.lost_at}`,
    'aria-pressed': String(mine && state.incident === null),
    style: {left: `${(100 * lane.lost_at) / last}%`, color: colors().failed},
  });
  return h(
    'div', {class: `lane ${lane.state}${mine ? ' chosen' : ''}`, role: 'listitem', 'data-path': lane.path},
    h('span', {class: 'lane-name', title: `${lane.path}: ${lane.why}`}, `${STATES[lane.state].glyph} ${lane.group} ${lane.name}`),
    h('span', {class: 'track'},
      h('span', {class: 'lived', style: {width: `${(100 * (lane.last_step ?? 0)) / last}%`}}),
      clusters(drawn, last).map((events) => mark(events, lane, last, shown)), lost),
    h('span', {class: 'count faint'}, lane.n_incidents > lane.events.length
      ? `${lane.events.length} of ${lane.n_incidents}` : String(lane.n_incidents)),
  );
}

function kindFilter(answer, hidden, shown) {
  const present = answer.kinds.filter((kind) => answer.lanes.some((lane) => lane.events.some((event) => event.kind === kind)));
  return h('div', {class: 'controls'}, present.map((kind) => checkbox(
    h('span', {style: {color: KINDS[kind].color}}, `${KINDS[kind].glyph} `, h('span', {class: 'ink'}, `${kind}: ${KINDS[kind].words}`)),
    !hidden.has(kind),
    (on) => shown.again({hidden: on ? [...hidden].filter((other) => other !== kind) : [...hidden, kind]}),
    {id: `kind-${kind}`},
  )), h('span', {class: 'check'}, h('span', {class: 'bad'}, '✕ '), 'seed lost'));
}

async function detail(host, shown, lane) {
  const {state, get} = shown;
  const answer = await get('window', {run: lane.path, incident: state.incident});
  if (!shown.current()) return;
  const facts = h('dl', {class: 'facts'}, answer.facts.map((fact) => [h('dt', {}, fact.name), h('dd', {}, fact.value)]));
  const order = h('ol', {class: 'order'}, answer.order.map((entry) => h(
    'li', {class: entry.lead < 0 ? 'before' : ''},
    h('span', {class: 'lead'}, entry.lead === 0 ? 'now' : `${entry.lead > 0 ? '+' : '−'}${Math.abs(entry.lead)} steps`),
    h('strong', {}, entry.key), ' ', entry.incident === null || entry.incident === state.incident ? entry.words
      : button(entry.words, () => shown.again({run: lane.path, incident: entry.incident}), {class: 'plain'}),
    ` (step ${entry.step})`)));
  const charts = h('div', {class: 'small-charts'});
  host.append(
    h('h2', {id: 'detail-title'}, `${lane.group} ${answer.title}`),
    h('div', {class: 'detail'}, h('div', {}, facts, answer.order.length ? h('h3', {}, 'In order') : '', order), charts),
  );
  shown.place();
  answer.signals.forEach((signal, index) => {
    const box = h('div', {class: 'small'}, h('h3', {}, signal.tag));
    charts.append(box);
    const {steps, values, gaps, gap_values: names} = signal.curve;
    lineChart(box, {
      lines: [{label: signal.tag, steps, values, color: colors().groups[0], width: 1.5}],
      marks: gaps.map((step, at) => ({step, value: null, glyph: names[at] === 'NaN' ? 'NaN' : '∞', color: colors().failed, size: 10})),
      verticals: [{step: answer.step, color: colors().failed, dash: true, label: index ? '' : `step ${answer.step}`},
        ...(answer.end_step > answer.step ? [{step: answer.end_step, color: faded(colors().failed, 0.5), dash: true}] : [])],
      height: 118, sync: 'window', range: answer.span, label: `${signal.tag} around step ${answer.step}`,
    });
  });
}

export async function show(host, shown) {
  const {state, about, get} = shown;
  const answer = await get('incidents');
  const hidden = new Set(state.hidden ?? []);
  const last = Math.max(1, answer.last_step);
  const several = answer.lanes.length > MANY_LANES;
  const eventful = answer.lanes.filter((lane) => lane.n_incidents || lane.state === 'failed');
  const everybody = state.everybody ?? !several;
  const wanted = state.lanes ?? '';
  const lanes = (everybody ? answer.lanes : eventful).filter((lane) => !wanted || lane.group === wanted);
  host.append(
    h('h1', {class: 'headline'}, `${answer.n_incidents} incident${answer.n_incidents === 1 ? '' : 's'} in ${
      answer.lanes.filter((lane) => lane.n_incidents).length} of ${answer.lanes.length} seeds; ${
      answer.lanes.filter((lane) => lane.state === 'failed').length} seeds failed.`),
    kindFilter(answer, hidden, shown),
    h('div', {class: 'controls'},
      several && checkbox('Also seeds where nothing happened', everybody, (on) => shown.again({everybody: on}), {id: 'everybody'}),
      wanted && button(`Only ${wanted}: show all groups`, () => shown.again({lanes: null}), {id: 'all-groups'})),
    h('div', {class: 'lanes', role: 'list', 'aria-label': 'Incidents of each seed over steps'},
      lanes.map((lane) => laneRow(lane, last, hidden, shown)),
      h('div', {class: 'lane axis', 'aria-hidden': 'true'}, h('span', {class: 'lane-name faint'}, 'step'),
        h('span', {class: 'track'}, ticks(last).map((step) => h('span',
          {class: 'tick faint', style: {left: `${(100 * step) / last}%`}}, step.toLocaleString('en')))),
        h('span', {class: 'count faint'}, 'incidents'))),
  );
  let lane = answer.lanes.find((one) => one.path === state.run);
  if (!lane) {
    lane = lanes.find((one) => one.lost_at !== null) ?? lanes.find((one) => one.events.length);
    if (lane) Object.assign(state, {run: lane.path, incident: lane.lost_at !== null ? null : lane.events[0].index});
    host.querySelectorAll('.lane').forEach((row) => row.classList.toggle('chosen', row.dataset.path === lane?.path));
  }
  if (lane && state.incident === null && lane.lost_at === null) state.incident = lane.events[0]?.index ?? null;
  if (lane && (state.incident !== null || lane.lost_at !== null)) await detail(host, shown, lane);
  else if (!about.failed.length) host.append(h('p', {class: 'empty'}, 'No incident in any seed.'));
}
