// A line chart on uPlot: curves, bands between curves, marks, and a line of text that says what the cursor is on.

import uPlot from './uplot.js';
import {duration, h, number} from './dom.js';
import {faded, themed} from './palette.js';

const TIME_STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800];
const LOG_FROM = 20;  // a logarithmic axis if the largest value is so many times the smallest

function table(line) {
  return [line.steps, line.values];
}

export function looksLogarithmic(lines) {
  let low = Infinity;
  let high = -Infinity;
  for (const line of lines) {
    for (const value of line.values) {
      if (value === null) continue;
      if (value <= 0) return false;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return high / low >= LOG_FROM;
}

// Powers of ten, as many as there is room for; also twice and five times them where there are few.
function logSplits(low, high, room) {
  const decades = Math.max(1, Math.log10(high / low));
  const factors = decades <= room / 3 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil(decades / room));
  const splits = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += every) {
    splits.push(...factors.map((factor) => factor * 10 ** power));
  }
  return splits.filter((split) => split >= low && split <= high);
}

function drawMarks(chart, marks, verticals) {
  const context = chart.ctx;
  const ratio = window.devicePixelRatio || 1;
  const {left, top, width, height} = chart.bbox;
  context.save();
  context.beginPath();
  context.rect(left - 10 * ratio, top - 14 * ratio, width + 20 * ratio, height + 14 * ratio);
  context.clip();
  for (const vertical of verticals) {
    const x = chart.valToPos(vertical.step, 'x', true);
    context.strokeStyle = vertical.color;
    context.lineWidth = ratio;
    context.setLineDash(vertical.dash ? [4 * ratio, 3 * ratio] : []);
    context.beginPath();
    context.moveTo(x, top);
    context.lineTo(x, top + height);
    context.stroke();
    if (vertical.label) {
      context.fillStyle = vertical.color;
      context.font = `${11 * ratio}px sans-serif`;
      context.textAlign = x > left + width - 70 * ratio ? 'right' : 'left';
      context.fillText(vertical.label, x + (context.textAlign === 'left' ? 3 : -3) * ratio, top + 10 * ratio);
    }
  }
  context.setLineDash([]);
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  for (const mark of marks) {
    const x = chart.valToPos(mark.step, 'x', true);
    const low = top + height - 7 * ratio;
    const y = mark.atTop ? top + 24 * ratio : mark.value === null ? low : chart.valToPos(mark.value, 'y', true);
    context.font = `bold ${(mark.size ?? 13) * ratio}px sans-serif`;
    context.lineWidth = 3 * ratio;
    context.strokeStyle = themed('--page');
    context.strokeText(mark.glyph, x, Math.max(top + 6 * ratio, Math.min(low, y)));
    context.fillStyle = mark.color;
    context.fillText(mark.glyph, x, Math.max(top + 6 * ratio, Math.min(low, y)));
  }
  context.restore();
}

function nearest(values, index, reach) {
  for (let away = 0; away <= reach; away += 1) {
    for (const at of [index - away, index + away]) {
      if (values[at] !== null && values[at] !== undefined) return values[at];
    }
  }
  return null;
}

// lines: {label, steps, values, color, width, dash, group}; bands: {upper, lower, color} by index of lines.
// words: what else to say of a step.
// marks: {step, value (null: at the bottom), atTop, glyph, color}; verticals: {step, color, label, dash}.
export function lineChart(host, {lines, bands = [], marks = [], verticals = [], log = 'auto', height = 300, label,
  sync = null, onzoom = null, onstep = null, range = null, padding = null, axisWidth = 64, inTime = false, words = null}) {
  const drawn = lines.filter((line) => line.steps.length);
  if (!drawn.length) {
    host.append(h('p', {class: 'empty'}, 'Nothing was recorded here.'));
    return null;
  }
  const logarithmic = log === 'auto' ? looksLogarithmic(drawn.filter((line) => line.told !== false)) : log;
  const clean = drawn.map((line) => logarithmic
    ? {...line, values: line.values.map((value) => (value !== null && value > 0 ? value : null))} : line);
  const data = clean.length === 1 ? table(clean[0]) : uPlot.join(clean.map(table));
  const ink = themed('--ink-soft');
  const axis = {stroke: ink, grid: {stroke: themed('--grid'), width: 1}, ticks: {stroke: themed('--grid'), width: 1}};
  const readout = h('p', {class: 'readout', 'aria-live': 'polite'}, ' ');
  let focused = null;

  const tell = (chart) => {
    const index = chart.cursor.idx;
    if (index === null || index === undefined) {
      readout.textContent = ' ';
      if (onstep) onstep(null);
      return;
    }
    const step = chart.data[0][index];
    if (onstep) onstep(step);
    const shown = focused !== null ? [clean[focused - 1]] : clean.filter((line) => line.told !== false);
    const parts = shown.slice(0, 6).map((line) => {
      const values = chart.data[clean.indexOf(line) + 1];
      const at = line.n ? `, n = ${nearest(line.n, line.steps.indexOf(step), 0) ?? '?'}` : '';
      return `${line.label} ${number(nearest(values, index, 20))}${line.n && line.steps.includes(step) ? at : ''}`;
    });
    readout.textContent = `${inTime ? duration(step) : `step ${step}`}: ${parts.join(' · ')}${words?.(step) ? `; ${words(step)}` : ''}`;
  };
  const options = {
    width: Math.max(320, host.clientWidth || 800),
    height,
    padding,
    legend: {show: false},
    focus: {alpha: 0.25},
    cursor: {
      focus: {prox: 16},
      drag: {x: true, y: false, setScale: false},
      points: {size: 6},
      sync: sync ? {key: sync, setSeries: false} : undefined,
    },
    scales: {x: {time: false, range: range ? () => range : undefined}, y: {distr: logarithmic ? 3 : 1}},
    axes: [
      {...axis, size: 30, font: '12px sans-serif', incrs: inTime ? TIME_STEPS_S : undefined,
        values: (_, ticks) => ticks.map((tick) => (inTime ? duration(tick) : tick.toLocaleString('en')))},
      {...axis, size: axisWidth, font: '12px sans-serif',
        splits: logarithmic ? (_, index, low, high) => logSplits(low, high, height / 34) : undefined,
        filter: logarithmic ? (_, splits) => splits : undefined,
        values: (_, ticks) => ticks.map((tick) => (tick === null ? '' : number(tick)))},
    ],
    series: [{}, ...clean.map((line) => ({
      label: line.label,
      stroke: line.color,
      width: line.width ?? 1,
      dash: line.dash,
      points: {show: line.steps.length < 40 && (line.width ?? 1) > 0, size: 5},
    }))],
    bands: bands.map((band) => ({series: [band.upper + 1, band.lower + 1], fill: faded(band.color, band.alpha ?? 0.16)})),
    hooks: {
      draw: [(chart) => drawMarks(chart, marks, verticals)],
      setCursor: [tell],
      setSeries: [(chart, index) => { focused = index && clean[index - 1]?.told !== false ? index : null; tell(chart); }],
      setSelect: [(chart) => {
        if (!onzoom || chart.select.width < 4) return;
        const {left, width} = chart.select;
        const place = (pixel) => { const x = chart.posToVal(pixel, 'x'); return inTime ? x : Math.round(x); };
        onzoom(place(left), place(left + width));
      }],
    },
  };
  const box = h('div', {class: 'chart', role: 'img', 'aria-label': label});
  host.append(box, readout);
  const chart = new uPlot(options, data, box);
  const observer = new ResizeObserver(() => {
    if (!box.isConnected) { observer.disconnect(); chart.destroy(); return; }
    const width = Math.max(320, host.clientWidth);
    if (width !== chart.width) chart.setSize({width, height});
  });
  observer.observe(host);
  return chart;
}
