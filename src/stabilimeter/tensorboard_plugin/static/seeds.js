// Any signal across the seeds of one or more groups: mean, band, single seeds, where failed seeds were lost.

import {button, checkbox, h, select} from './dom.js';
import {lineChart} from './chart.js';
import {KINDS, colors, faded, themed} from './palette.js';

const MAX_GROUPS = 6;
const MAX_COUNT_MARKS = 4;

// Every group has a colour of its own; where there are more groups than colours, those that are drawn have.
export function colorOf(about, label, drawn) {
  const {groups} = colors();
  const all = about.groups.map((group) => group.label);
  const at = (all.length <= groups.length ? all : drawn).indexOf(label);
  return at < 0 ? themed('--edge') : groups[at % groups.length];
}

// What a reader wants to see first: the group with the most failed seeds, and the best one if the two can be compared.
export function firstLook(about) {
  const worst = about.groups.reduce((most, group) => (group.n_failed >= most.n_failed ? group : most));
  const best = about.groups.find((group) => group !== worst && group.loss === worst.loss && group.primary === worst.primary);
  const groups = best ? [best.label, worst.label] : [worst.label];
  return {groups, tag: worst.loss ?? worst.primary ?? about.tags[0]};
}

function linesOf(answer, name, color, options) {
  const lines = [];
  const bands = [];
  if (options.singles) {
    for (const seed of answer.seeds) {
      const failed = seed.state === 'failed';
      const alone = answer.n_seeds === 1;
      lines.push({
        label: `${name} ${seed.name}${failed ? ' (failed)' : ''}`, ...seed.curve, told: true,
        color: failed ? colors().failed : alone ? color : faded(color, 0.55), width: failed || alone ? 1.25 : 1, dash: seed.state === 'running' ? [6, 3] : null,
      });
    }
  }
  if (answer.band && answer.n_seeds > 1) {
    const {steps, line, lower, upper, n} = answer.band;
    if (upper) {
      const at = lines.length;
      for (const values of [upper, lower]) lines.push({label: 'edge', steps, values, color: 'transparent', width: 0, told: false});
      bands.push({upper: at, lower: at + 1, color});
    }
    lines.push({label: `${name} ${options.line ?? 'mean'}`, steps, values: line, color, width: 2.25, n});
  }
  return {lines, bands};
}

// Where seeds end and the others go on, the mean is one over fewer: said above, unless it changes all the time.
function countMarks(answer) {
  const {steps, n} = answer.band ?? {steps: [], n: []};
  const length = steps.at(-1) - steps[0];
  const marks = [];
  for (let at = 1, since = 0; at <= n.length; at += 1) {
    if (at < n.length && n[at] === n[since]) continue;
    const lasted = (steps[at] ?? steps.at(-1)) - steps[since];
    if (since && lasted > 0.03 * length) marks.push({step: steps[since], value: null, atTop: true, glyph: `n = ${n[since]}`, size: 10, color: themed('--ink-soft')});
    since = at;
  }
  return marks.length <= MAX_COUNT_MARKS ? marks : [];
}

function marksOf(answer, options) {
  const marks = countMarks(answer);
  const verticals = [];
  for (const seed of answer.seeds) {
    if (seed.state === 'failed' && seed.last && options.singles) {
      marks.push({step: seed.last.step, value: seed.last.value, glyph: '✕', color: colors().failed, size: 15});
    }
    seed.curve.gaps.forEach((step, index) => marks.push(
      {step, value: null, glyph: seed.curve.gap_values[index] === 'NaN' ? 'NaN' : '∞', color: colors().failed, size: 10}));
    for (const incident of seed.incidents) {
      const at = seed.curve.steps.findIndex((step) => step >= incident.step);
      if (incident.shared) verticals.push({step: incident.step, color: KINDS[incident.kind].color, label: 'shared'});
      else if (options.singles && at >= 0 && incident.kind !== 'nonfinite') {  // the gap is marked already
        const {glyph, color} = KINDS[incident.kind];
        marks.push({step: incident.step, value: seed.curve.values[at], glyph, color, size: 11});
      }
    }
  }
  const once = new Map(verticals.map((vertical) => [vertical.step, vertical]));
  return {marks, verticals: [...once.values()]};
}

function lostVerticals(answers) {
  const steps = new Map();
  for (const answer of answers) {
    for (const seed of answer.seeds) if (seed.lost_at !== null) steps.set(seed.lost_at, [...steps.get(seed.lost_at) ?? [], seed]);
  }
  const last = Math.max(...steps.keys());
  const all = [...steps.values()].flat();
  const label = all.length === 1 ? `${all[0].name} lost` : `${all.length} seeds lost`;
  return [...steps.keys()].map((step) => ({step, color: colors().failed, dash: true, label: step === last ? label : ''}));
}

export async function drawCurves(host, shown, options) {
  const {about, get, again} = shown;
  const tag = options.tag ?? about.tags[0];
  if (!tag) return;
  const span = options.zoom ? {from: options.zoom[0], to: options.zoom[1]} : {};
  const answers = await Promise.all(options.groups.map(
    (group) => get('curves', {group, tag, seed: options.seed, band: options.band, line: options.line, smooth: options.smooth,
      axis: options.axis, ...span})));
  if (!shown.current()) return;
  const short = Object.fromEntries(about.groups.map((group) => [group.label, group.short]));
  const lines = [];
  const bands = [];
  const marks = [];
  const verticals = options.lost === false ? [] : lostVerticals(answers);
  for (const answer of answers) {
    const made = linesOf(answer, short[answer.group], colorOf(about, answer.group, options.groups), options);
    bands.push(...made.bands.map((band) => ({...band, upper: band.upper + lines.length, lower: band.lower + lines.length})));
    lines.push(...made.lines);
    const found = marksOf(answer, options);
    marks.push(...found.marks);
    verticals.push(...found.verticals);
  }
  const present = answers.filter((answer) => answer.n_seeds);
  host.append(h(
    'p', {class: 'legend'}, h('strong', {}, tag), ' ',
    present.map((answer) => h('span', {}, h('span', {class: 'swatch', style: {background: colorOf(about, answer.group, options.groups)}}),
      `${short[answer.group]} (${answer.n_seeds} seed${answer.n_seeds === 1 ? '' : 's'})  `)),
    present.some((answer) => answer.seeds.some((seed) => seed.state === 'failed'))
      && h('span', {}, h('span', {class: 'swatch', style: {background: colors().failed}}), 'failed seed, ✕ its last value'),
  ));
  if (options.zoom) host.append(button('Whole run', () => again({zoom: null}), {id: 'whole'}));
  const kept = lines.map((line, index) => [line, index]).filter(([line]) => line.steps.length);
  const moved = new Map(kept.map(([, index], at) => [index, at]));
  lineChart(host, {
    lines: kept.map(([line]) => line),
    bands: bands.map((band) => ({...band, upper: moved.get(band.upper), lower: moved.get(band.lower)})),
    marks, verticals, log: options.log, height: options.height,
    inTime: options.axis === 'time', label: `${tag} over ${options.axis === 'time' ? 'time' : 'steps'} for ${present.map((answer) => short[answer.group]).join(', ')}`,
    onzoom: options.zoomable ? (from, to) => again({zoom: [from, to]}) : null,
  });
  return answers;
}

export async function show(host, shown) {
  const {about, state, again} = shown;
  const known = about.groups.map((group) => group.label);
  const first = firstLook(about);
  const groups = (state.groups ?? first.groups).filter((label) => known.includes(label));
  const options = {
    tag: about.tags.includes(state.tag) ? state.tag : first.tag,
    groups: groups.length ? groups : known.slice(0, 1),
    band: state.band ?? 'range', line: state.line ?? 'mean', smooth: state.smooth ?? null,
    axis: about.has_time ? state.axis ?? 'step' : 'step', singles: state.singles ?? true, log: state.log ?? 'auto',
    height: 420, zoom: state.zoom ?? null, zoomable: true, seed: state.seed,
  };
  host.append(h(
    'div', {class: 'controls'},
    select('Signal', about.tags.map((tag) => ({value: tag, text: tag})), options.tag,
      (tag) => again({tag, zoom: null}), {id: 'signal'}),
    select('Line', [{value: 'mean', text: 'mean'}, {value: 'median', text: 'median'}], options.line, (line) => again({line}), {id: 'line'}),
    select('Band', [{value: 'range', text: 'lowest to highest seed'}, {value: 'interval', text: '95 % t interval of the mean'},
      {value: 'sd', text: 'mean ± standard deviation'}, {value: 'quartiles', text: 'middle half (quartiles)'},
      {value: 'none', text: 'none'}], options.band, (band) => again({band}), {id: 'band'}),
    select('Smoothing', [{value: '', text: 'none'}, {value: '0.005', text: 'light (0.5 % of the run)'}, {value: '0.02', text: 'medium (2 %)'},
      {value: '0.1', text: 'heavy (10 %)'}], options.smooth ?? '', (smooth) => again({smooth: smooth || null}), {id: 'smooth'}),
    select('Scale', [{value: 'auto', text: 'by the data'}, {value: 'log', text: 'logarithmic'}, {value: 'linear', text: 'linear'}],
      options.log === 'auto' ? 'auto' : options.log ? 'log' : 'linear',
      (scale) => again({log: scale === 'auto' ? 'auto' : scale === 'log'}), {id: 'scale'}),
    about.has_time && select('Over', [{value: 'step', text: 'steps'}, {value: 'time', text: 'time of training'}], options.axis,
      (axis) => again({axis, zoom: null}), {id: 'over'}),
    checkbox('Single seeds', options.singles, (singles) => again({singles}), {id: 'singles'}),
  ));
  host.append(h(
    'fieldset', {class: 'groups-choice'}, h('legend', {}, `Groups (up to ${MAX_GROUPS})`),
    about.groups.map((group, index) => checkbox(
      h('span', {}, h('span', {class: 'swatch', style: {background: colorOf(about, group.label, options.groups)}}), group.short),
      options.groups.includes(group.label),
      (on) => again({groups: on ? [...options.groups, group.label].slice(-MAX_GROUPS)
        : options.groups.filter((label) => label !== group.label)}),
      {id: `group-${index}`},
    )),
  ));
  const picture = h('section', {});
  host.append(picture);
  shown.place();
  const answers = await drawCurves(picture, shown, options);
  const others = (answers ?? []).flatMap((answer) => answer.others);
  if (others.length) {
    host.append(select('Show another seed', [{value: '', text: `${others.length} not drawn one by one`},
      ...others.map((seed) => ({value: seed.path, text: seed.path}))], state.seed ?? '',
    (seed) => again({seed: seed || null}), {id: 'another'}));
  }
  host.append(h('p', {class: 'faint'}, 'Drag to zoom. Point at a line for its seed and value; n is the number of seeds at a step. '
    + 'Long series keep the smallest and largest value of each stretch; NaN and ∞ at the bottom mark gaps.'
    + (options.smooth ? ' Smoothed: a value counts half after that share of the run.' : '')
    + (options.axis === 'time' ? ' Time: seconds per step added up, validation and pauses left out.' : '')));
}
