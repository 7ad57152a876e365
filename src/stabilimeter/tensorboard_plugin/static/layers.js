// Norms per layer over steps as a heat map under the loss; which layer moved first.

import {h, number, select} from './dom.js';
import {lineChart} from './chart.js';
import {STATES, colors, diverging, sequential, themed} from './palette.js';

const NAME_WIDTH = 230;
const RIGHT = 16;

const rounded = (value) => Number(value.toPrecision(2)).toLocaleString('en');

function shares(answer, relative) {
  const finite = (rows) => rows.flat().filter((value) => typeof value === 'number');
  if (!relative) {
    const all = finite(answer.values).sort((one, other) => one - other);
    const low = all[Math.floor(0.01 * all.length)] ?? 0;
    const high = all[Math.ceil(0.99 * all.length) - 1] ?? 1;
    return {low, high, at: (row, column) => answer.values[row][column]};
  }
  const difference = (row, column) => {
    const own = answer.values[row][column];
    const other = answer.expected[row][column];
    return typeof own === 'number' && typeof other === 'number' ? own - other : own;
  };
  const all = answer.values.flatMap((row, at) => row.map((_, column) => difference(at, column)))
    .filter((value) => typeof value === 'number').map(Math.abs).sort((one, other) => one - other);
  const reach = Math.max(0.3, all[Math.ceil(0.98 * all.length) - 1] ?? 1);
  return {low: -reach, high: reach, at: difference};
}

function heatMap(canvas, answer, relative, range, cursor) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.parentElement.clientWidth;
  const rowHeight = Math.max(4, Math.min(18, Math.floor(370 / answer.names.length)));
  const height = rowHeight * answer.names.length + 26;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  Object.assign(canvas.style, {width: `${width}px`, height: `${height}px`});
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  const inner = width - NAME_WIDTH - RIGHT;
  const x = (step) => NAME_WIDTH + (inner * (step - range[0])) / Math.max(1, range[1] - range[0]);
  const {low, high, at} = shares(answer, relative);
  context.font = '11px sans-serif';
  context.textBaseline = 'middle';
  answer.names.forEach((name, row) => {
    const y = row * rowHeight;
    answer.steps.forEach((step, column) => {
      const value = at(row, column);
      const next = answer.steps[column + 1] ?? range[1];
      const share = (value - low) / Math.max(1e-9, high - low);
      context.fillStyle = typeof value === 'number' ? (relative ? diverging(share) : sequential(share))
        : themed(value === null ? '--track' : '--ink');
      context.fillRect(x(step), y, Math.max(1, x(next) - x(step)) + 0.5, rowHeight - (rowHeight > 6 ? 1 : 0));
    });
    if (rowHeight >= 9 || row % Math.ceil(10 / rowHeight) === 0) {
      context.fillStyle = themed('--ink');
      context.textAlign = 'right';
      const short = name.length > 36 ? `…${name.slice(-35)}` : name;
      context.fillText(short, NAME_WIDTH - 6, y + rowHeight / 2, NAME_WIDTH - 10);
    }
  });
  context.fillStyle = themed('--ink-soft');
  context.textAlign = 'center';
  for (let tick = 0; tick <= 4; tick += 1) {
    const step = Math.round(range[0] + ((range[1] - range[0]) * tick) / 4);
    context.fillText(step.toLocaleString('en'), Math.min(width - 20, x(step)), height - 12);
  }
  const line = (step, color) => {
    context.strokeStyle = color;
    context.beginPath();
    context.moveTo(x(step), 0);
    context.lineTo(x(step), height - 26);
    context.stroke();
  };
  if (answer.lost_at !== null) line(answer.lost_at, colors().failed);
  if (cursor !== null) line(cursor, themed('--ink'));
  return {stepAt: (pixel) => range[0] + ((pixel - NAME_WIDTH) / inner) * (range[1] - range[0]),
    rowAt: (pixel) => Math.floor(pixel / rowHeight)};
}

export async function show(host, shown) {
  const {state, get, again} = shown;
  const answer = await get('layers', {run: state.layersRun, key: state.layersKey}).catch((error) => {
    if (!state.layersRun) throw error;
    state.layersRun = null;
    return get('layers');
  });
  const relative = answer.expected !== null && (state.relative ?? true);
  const first = answer.moved[0];
  const tie = answer.moved.filter((mover) => mover.step === first?.step);
  const range = [answer.steps[0] ?? 0, answer.loss?.curve.steps.at(-1) ?? answer.steps.at(-1) ?? 1];
  host.append(
    h('div', {class: 'controls'},
      select('Seed', answer.runs.map((run) => ({value: run.path, text: `${STATES[run.state].glyph} ${run.path}`})), answer.path,
        (path) => again({layersRun: path}), {id: 'layers-run'}),
      answer.keys.length > 1 && select('Signal', answer.keys.map((key) => ({value: key, text: key})), answer.key,
        (key) => again({layersKey: key, layersRun: answer.path}), {id: 'layers-key'}),
      answer.expected !== null && select('Colour', [
        {value: 'relative', text: 'against the healthy seeds'}, {value: 'absolute', text: 'the value itself'}],
      relative ? 'relative' : 'absolute', (value) => again({relative: value === 'relative'}), {id: 'layers-colour'})),
    h('h1', {class: 'headline'}, first
      ? `First to leave the range of the healthy seeds: ${tie.slice(0, 3).map((mover) => mover.name).join(', ')}${
        tie.length > 3 ? ` and ${tie.length - 3} more` : ''}, ${
        first.from_start ? `at the first step recorded (${first.step})` : `step ${first.step}`}.`
      : answer.against ? 'No layer left the range of the healthy seeds for good.' : `${answer.key} of ${answer.path}`),
    answer.names.length < answer.n_layers ? h('p', {class: 'faint'},
      `The ${answer.names.length} of ${answer.n_layers} layers that change the most.`) : '',
  );
  const top = h('div', {class: 'layers-loss'});
  const readout = h('p', {class: 'readout', 'aria-live': 'polite'}, ' ');
  const canvas = h('canvas', {tabindex: '0', role: 'img', id: 'heat-map',
    'aria-label': `${answer.key} of ${answer.names.length} layers over steps; arrow keys move the cursor`});
  const limits = shares(answer, relative);
  const scale = h('p', {class: 'legend scale'},
    relative ? `1/${rounded(10 ** limits.high)}` : number(10 ** limits.low), ' ',
    Array.from({length: 24}, (_, at) => h('span', {class: 'step', style: {background: relative
      ? diverging(at / 23) : sequential(at / 23)}})), ' ',
    relative ? `${rounded(10 ** limits.high)} times the median of ${answer.against}` : number(10 ** limits.high),
    h('span', {}, '   ', h('span', {class: 'swatch', style: {background: themed('--ink')}}), 'NaN or infinite'));
  host.append(scale, top, h('div', {class: 'map'}, canvas), readout);
  if (answer.moved.length) {
    host.append(h('details', {open: answer.moved.length <= 6}, h('summary', {}, `${answer.moved.length} layers in the order in which they moved`),
      h('ol', {class: 'moved'}, answer.moved.map((mover) => h('li', {}, h('strong', {}, mover.name),
        ` step ${mover.step}: ${mover.size}`)))));
  }
  shown.place();
  let cursor = null;
  let row = 0;
  let map = heatMap(canvas, answer, relative, range, null);
  const move = (step, at) => {
    cursor = step;
    row = Math.max(0, Math.min(answer.names.length - 1, at));
    map = heatMap(canvas, answer, relative, range, cursor);
    if (step === null) { readout.textContent = ' '; return; }
    const column = Math.max(0, answer.steps.findLastIndex((own) => own <= step));
    const value = answer.values[row][column];
    const other = answer.expected?.[row][column];
    const words = (log) => (typeof log === 'number' ? number(10 ** log) : log ?? '0');
    readout.textContent = `step ${answer.steps[column]}: ${answer.names[row]} ${words(value)}${
      other === undefined ? '' : `, healthy seeds ${words(other)}`}`;
  };
  if (answer.loss) {
    lineChart(top, {
      lines: [{label: answer.loss.tag, ...answer.loss.curve, color: colors().groups[0], width: 1.5}], range, height: 130,
      axisWidth: NAME_WIDTH - 8, padding: [8, RIGHT, 0, 8], label: `${answer.loss.tag} over the same steps`,
      verticals: answer.lost_at === null ? [] : [{step: answer.lost_at, color: colors().failed, dash: true, label: 'lost'}],
      onstep: (step) => { if (step !== cursor) move(step, row); },
    });
  }
  canvas.addEventListener('mousemove', (event) => move(
    Math.max(range[0], Math.min(range[1], map.stepAt(event.offsetX))), map.rowAt(event.offsetY)));
  canvas.addEventListener('mouseleave', () => move(null, row));
  canvas.addEventListener('keydown', (event) => {
    const turn = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!turn) return;
    event.preventDefault();
    const column = cursor === null ? 0 : Math.max(0, answer.steps.findLastIndex((own) => own <= cursor)) + turn[0];
    move(answer.steps[Math.max(0, Math.min(answer.steps.length - 1, column))], row + turn[1]);
  });
}
