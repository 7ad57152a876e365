// The judged evaluations of one run: its metric in the noise around the best so far, flips, slices, checkpoints.

import {h, select} from './dom.js';
import {lineChart} from './chart.js';
import {STATES, VERDICTS, colors, themed} from './palette.js';

function facts(course) {
  const {last_healthy: healthy, ship} = course;
  const unhealthy = course.saved.filter((one) => one.unhealthy);
  const told = [];
  if (ship) told.push(['the one to ship', `${ship.path} (step ${ship.step}): ${ship.reason}`]);
  if (healthy) told.push(['last healthy', `${healthy.path} (step ${healthy.step})`]);
  if (unhealthy.length) told.push(['not healthy', unhealthy.map((one) => `${one.path} (${one.unhealthy})`).join(', ')]);
  if (!told.length) return '';
  return h('dl', {class: 'facts course'}, told.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

function metricChart(host, course) {
  const {steps, values, best, low, high, verdicts} = course;
  const edge = {color: 'transparent', width: 0, told: false};
  const verticals = [course.ship && {step: course.ship.step, color: colors().groups[4], label: 'ship'},
    course.last_healthy && course.last_healthy.step !== course.ship?.step
      && {step: course.last_healthy.step, color: themed('--ink-soft'), dash: true, label: 'last healthy'}].filter(Boolean);
  const gaps = steps.filter((_, at) => values[at] === null);
  lineChart(host, {
    lines: [
      {label: course.monitor, steps, values, color: colors().groups[0], width: 1.75},
      {label: 'best before', steps, values: best, color: themed('--ink-soft'), width: 1, dash: [5, 4]},
      {...edge, label: 'high', steps, values: high}, {...edge, label: 'low', steps, values: low},
    ],
    bands: [{upper: 2, lower: 3, color: '#7A7A7A', alpha: 0.2}],
    marks: [
      ...steps.map((step, at) => verdicts[at] && verdicts[at] !== 'same'
        && {step, value: values[at], ...VERDICTS[verdicts[at]], size: 14}).filter(Boolean),
      ...gaps.map((step) => ({step, value: null, glyph: 'NaN', color: colors().failed, size: 10})),
      ...course.saved.filter((one) => one.unhealthy).map((one) => ({step: one.step, value: null, glyph: '✕', color: colors().failed})),
    ],
    verticals, height: 230, sync: 'course', label: `${course.monitor} at each evaluation, in the noise around the best before`,
    words: (step) => course.words[steps.indexOf(step)],
  });
}

function flipChart(host, course) {
  const {lost, won, n} = course.flips;
  const {steps} = course;
  host.append(h('h3', {}, `Examples of ${n} that got lost and that were won, against the best before`));
  lineChart(host, {
    lines: [{label: 'lost', steps, values: lost, color: colors().failed, width: 1.5},
      {label: 'won', steps, values: won, color: colors().groups[4], width: 1.5, dash: [5, 3]}],
    log: false, height: 130, sync: 'course', label: 'examples lost and won at each evaluation',
  });
}

function sliceTable(course) {
  const cell = (one) => (verdict, at) => h('span', {class: 'verdict-cell', style: {color: VERDICTS[verdict ?? 'same'].color},
    title: `step ${one.steps[at]}: ${verdict ?? 'not judged'}`}, verdict ? VERDICTS[verdict].glyph : '·');
  return h('section', {},
    h('h3', {}, `Slices${course.slices.length < course.n_slices ? `: the ${course.slices.length} of ${course.n_slices} that got worse most often` : ''}`),
    h('div', {class: 'scroll'}, h('table', {class: 'slices'},
      h('thead', {}, h('tr', {}, ['Slice', 'Examples', 'Now', 'Lost now', 'Times worse', 'Against the best before, evaluation by evaluation']
        .map((name) => h('th', {scope: 'col'}, name)))),
      h('tbody', {}, course.slices.map((one) => h('tr', {class: one.n_worse ? 'has-failed' : ''},
        h('th', {scope: 'row'}, one.name), h('td', {}, one.n), h('td', {}, one.value), h('td', {}, one.lost ?? '-'),
        h('td', {}, one.n_worse), h('td', {class: 'nowrap'}, one.verdicts.map(cell(one)))))))));
}

export function drawCourse(host, shown, answer) {
  const {course, judged, run} = answer;
  const {again} = shown;
  const parts = h('section', {class: 'judged'});
  host.append(parts);
  parts.append(
    judged.length > 1 && h('div', {class: 'controls'}, select('Seed', judged.map((one) => (
      {value: one.path, text: `${STATES[one.state].glyph} ${one.name}`})), run, (path) => again({course: path}), {id: 'course'})),
    facts(course),
    h('p', {class: 'legend'}, 'Grey: what noise explains around the best before.  ', Object.entries(VERDICTS).map(([name, {glyph, color}]) => (
      name === 'same' ? '' : h('span', {}, h('span', {style: {color}}, glyph), ` ${name}, beyond noise   `)))),
  );
  metricChart(parts, course);
  if (course.flips) flipChart(parts, course);
  if (course.slices.length) parts.append(sliceTable(course));
}
