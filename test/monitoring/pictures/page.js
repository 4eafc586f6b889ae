// Draws a dashboard's panels from what Prometheus answered.
"use strict";

const named = {
  green: "#56a64b", "dark-red": "#8f1d21", red: "#e02f44", yellow: "#e0b400", orange: "#ff780a", blue: "#3274d9",
  purple: "#a352cc", text: "#24292e",
};
const palette = ["#3274d9", "#56a64b", "#e0b400", "#ff780a", "#e02f44", "#a352cc", "#6e9fff", "#96d98d", "#b877d9", "#c4162a", "#37872d", "#1f60c4"];

function seconds(v) {
  if (v < 0.001) return (v * 1e6).toFixed(0) + " µs";
  if (v < 1) return (v * 1000).toFixed(v < 0.1 ? 1 : 0) + " ms";
  if (v < 100) return +v.toFixed(v < 10 ? 1 : 0) + " s";
  if (v < 5400) return +(v / 60).toFixed(1) + " min";
  if (v < 172800) return +(v / 3600).toFixed(1) + " h";
  return +(v / 86400).toFixed(1) + " d";
}

function bytes(v) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let i = 0;
  while (v >= 1024 && i < units.length - 1) { v /= 1024; i++; }
  return +v.toFixed(1) + " " + units[i];
}

function text(v, unit, decimals) {
  if (v === null || v === undefined) return "";
  if (unit === "s") return seconds(v);
  if (unit === "percentunit") return +(v * 100).toFixed(1) + "%";
  if (unit === "bytes") return bytes(v);
  const number = decimals !== undefined ? v.toFixed(decimals) : String(+v.toFixed(Math.abs(v) < 10 ? 2 : 0));
  if (unit === "reqps") return number + " req/s";
  if (unit === "ops") return number + " ops/s";
  return number;
}

// What the overrides say of a series or a column.
function properties(panel, name) {
  const found = {};
  for (const o of panel.fieldConfig.overrides || []) {
    const matches = o.matcher.id === "byName" ? o.matcher.options === name : new RegExp(o.matcher.options).test(name);
    if (matches) for (const p of o.properties) found[p.id] = p.value;
  }
  return found;
}

function colourOf(panel, name, i) {
  const c = properties(panel, name).color;
  return c ? named[c.fixedColor] || c.fixedColor : palette[i % palette.length];
}

function thresholdColour(steps, v) {
  let found = "text";
  for (const s of steps) if (s.value === null || v >= s.value) found = s.color;
  return named[found] || found;
}

function element(tag, className, parent, content) {
  const e = document.createElement(tag);
  e.className = className || "";
  if (content !== undefined) e.textContent = content;
  parent.appendChild(e);
  return e;
}

const last = (l) => l.points.length ? l.points[l.points.length - 1][1] : null;

function drawStat(body, { panel, lines }) {
  const d = panel.fieldConfig.defaults;
  const shown = lines.filter((l) => last(l) !== null);
  const texts = d.mappings ? d.mappings[0].options : {};
  const box = element("div", "stats", body);
  if (!shown.length) return element("div", "nothing", box, "No data");
  for (const l of shown) {
    const one = element("div", "stat", box);
    const mapped = texts[String(last(l))];
    if (mapped) {
      element("div", "nothing", one, mapped.text);
      continue;
    }
    const value = element("b", "", one, text(last(l), d.unit, d.decimals));
    const fixed = properties(panel, l.name).color;
    value.style.color = fixed ? named[fixed.fixedColor] : thresholdColour(d.thresholds.steps, last(l));
    if (shown.length > 5) value.style.fontSize = "20px";
    if (shown.length > 1) element("span", "", one, l.name);
  }
}

// Joins the queries by the labels that all of them have, as the panel's
// transformations do.
function drawTable(body, { panel, lines }) {
  const organize = panel.transformations.find((t) => t.id === "organize").options;
  const columns = Object.keys(organize.indexByName).sort((a, b) => organize.indexByName[a] - organize.indexByName[b]);
  const rows = new Map();
  const shared = Object.keys(lines.length ? lines[0].labels : {}).filter((name) => lines.every((l) => name in l.labels)).sort();
  for (const l of lines) {
    const key = JSON.stringify(shared.map((name) => l.labels[name]));
    if (!rows.has(key)) rows.set(key, {});
    Object.assign(rows.get(key), l.labels);
    rows.get(key)[panel.targets.length > 1 ? "Value #" + l.refId : "Value"] = last(l);
  }
  const by = columns.find((c) => organize.renameByName[c] === panel.options.sortBy[0].displayName);
  const sorted = [...rows.values()].sort((a, b) => (b[by] ?? -1) > (a[by] ?? -1) ? 1 : -1);
  if (!sorted.length) return element("div", "nothing", body, "No data");
  const used = columns.filter((c) => sorted.some((r) => r[c] !== undefined));
  const table = element("table", "", body);
  const head = element("tr", "", table);
  for (const c of used) element("th", "", head, organize.renameByName[c]);
  for (const r of sorted) {
    const tr = element("tr", "", table);
    for (const c of used) cell(element("td", "", tr), panel, organize.renameByName[c], r[c]);
  }
}

function cell(td, panel, column, value) {
  const p = properties(panel, column);
  const options = p["custom.cellOptions"] || {};
  const shown = typeof value === "number" ? text(value, p.unit || panel.fieldConfig.defaults.unit) : value || "";
  if (options.type === "gauge" && typeof value === "number") {
    const gauge = element("span", "gauge", td);
    element("i", "", gauge).style.width = 100 * value + "%";
  }
  const e = element("span", "", td, shown);
  if (options.type === "color-text" && typeof value === "number") e.style.color = thresholdColour(p.thresholds.steps, value);
}

const clock = (at) => new Date(at).toTimeString().slice(3, 8);

function axes(panel, unit) {
  return {
    animation: false, textStyle: { fontFamily: "DejaVu Sans" },
    grid: { left: 8, right: 12, top: 12, bottom: 26, containLabel: true },
    xAxis: {
      type: "time", min: board.from, max: board.to, splitNumber: 6,
      axisLabel: { fontSize: 10, formatter: clock, hideOverlap: true }, splitLine: { show: true, lineStyle: { color: "#eef1f4" } },
    },
    yAxis: {
      type: "value", min: panel.fieldConfig.defaults.min, max: panel.fieldConfig.defaults.max, splitNumber: 4,
      axisLabel: { fontSize: 10, formatter: (v) => text(v, unit) }, splitLine: { lineStyle: { color: "#eef1f4" } },
    },
    legend: { bottom: 0, left: 4, itemWidth: 12, itemHeight: 3, itemGap: 10, icon: "rect", type: "plain", textStyle: { fontSize: 10.5 } },
  };
}

function markLines() {
  return {
    silent: true, symbol: "none", label: { show: false },
    data: board.marks.map((m) => ({ xAxis: m.at, lineStyle: { color: named[m.colour], type: "dashed", width: 1, opacity: 0.6 } })),
  };
}

// Where nothing was for a while there is no line.
function withGaps(points) {
  const all = [];
  let before = 0;
  for (const p of points) {
    if (before && p[0] - before > 5000) all.push([before + 1, null]);
    all.push(p);
    before = p[0];
  }
  return all;
}

function drawGraph(body, { panel, lines }) {
  const d = panel.fieldConfig.defaults;
  const shown = lines.filter((l) => l.points.some((p) => p[1] !== null)).sort((a, b) => a.name < b.name ? -1 : 1);
  if (!shown.length) return element("div", "nothing", body, "No data");
  const stacked = d.custom.stacking.mode === "normal";
  const times = [...new Set(shown.flatMap((l) => l.points.map((p) => p[0])))].sort();
  const options = axes(panel, d.unit);
  options.series = shown.map((l, i) => {
    const at = new Map(l.points);
    return {
      name: l.name, type: d.custom.drawStyle === "bars" ? "bar" : "line", showSymbol: false, symbol: "circle",
      data: stacked ? times.map((t) => [t, at.get(t) || 0]) : withGaps(l.points), stack: stacked ? "all" : undefined,
      step: stacked ? "end" : undefined, color: colourOf(panel, l.name, i), lineStyle: { width: stacked ? 0 : 1.4 }, barWidth: 10,
      areaStyle: { opacity: stacked ? 0.55 : 0.06 }, markLine: i === 0 ? markLines() : undefined,
    };
  });
  options.grid.bottom = 26 + 14 * Math.floor(shown.map((l) => l.name.length + 5).reduce((a, b) => a + b, 0) / (panel.gridPos.w * 8.2));
  echarts.init(body, null, { renderer: "canvas" }).setOption(options);
}

// Buckets are cumulative: each cell is what is in one and not in the one below.
function drawHeat(body, { panel, lines }) {
  const buckets = lines.slice().sort((a, b) => +a.labels.le.replace("+Inf", "Infinity") - +b.labels.le.replace("+Inf", "Infinity"));
  const times = [...new Set(buckets.flatMap((l) => l.points.map((p) => p[0])))].sort();
  const every = Math.max(1, Math.ceil(times.length / 60));
  const cells = [];
  let most = 0, top = 0;
  buckets.forEach((l, y) => {
    const at = new Map(l.points), below = new Map(y ? buckets[y - 1].points : []);
    times.filter((_, i) => i % every === 0).forEach((t, x) => {
      const v = Math.max(0, (at.get(t) || 0) - (below.get(t) || 0));
      if (v > 0.01) { cells.push([x, y, v]); top = Math.max(top, y); }
      most = Math.max(most, v);
    });
  });
  const options = axes(panel, "s");
  options.xAxis = { type: "category", data: times.filter((_, i) => i % every === 0).map(clock), axisLabel: { fontSize: 10 } };
  options.yAxis = { type: "category", data: buckets.slice(0, top + 2).map((l) => l.labels.le === "+Inf" ? "more" : seconds(+l.labels.le)), axisLabel: { fontSize: 10 } };
  options.legend = undefined;
  options.grid.bottom = 8;
  options.visualMap = { show: false, min: 0, max: most, inRange: { color: ["#fff3e0", "#ffb74d", "#f57c00", "#8f3b00"] } };
  options.series = [{ type: "heatmap", data: cells, itemStyle: { borderColor: "#fff", borderWidth: 1 } }];
  echarts.init(body).setOption(options);
}

function drawTimeline(body, { panel, lines }) {
  const texts = panel.fieldConfig.defaults.mappings[0].options;
  const shown = lines.slice().sort((a, b) => a.name < b.name ? 1 : -1);
  const bars = [];
  shown.forEach((l, y) => {
    let begun = null;
    l.points.forEach((p, i) => {
      if (!begun) begun = p;
      const next = l.points[i + 1];
      if (!next || next[1] !== begun[1] || next[0] - p[0] > 5000) {
        bars.push({ value: [y, begun[0], next && next[0] - p[0] <= 5000 ? next[0] : p[0], begun[1]] });
        begun = null;
      }
    });
  });
  const options = axes(panel, "none");
  options.yAxis = { type: "category", data: shown.map((l) => l.name), axisLabel: { fontSize: 10 } };
  options.legend = undefined;
  options.grid.bottom = 8;
  options.series = [{
    type: "custom", data: bars, encode: { x: [1, 2], y: 0 },
    renderItem: (_, a) => {
      const from = a.coord([a.value(1), a.value(0)]), to = a.coord([a.value(2), a.value(0)]), h = a.size([0, 1])[1] * 0.7;
      const state = texts[String(a.value(3))] || { text: "", color: "text" };
      const wide = to[0] - from[0] > 60;
      return {
        type: "group", children: [
          { type: "rect", shape: { x: from[0], y: from[1] - h / 2, width: Math.max(1, to[0] - from[0]), height: h }, style: { fill: named[state.color], opacity: 0.75 } },
          { type: "text", style: { text: wide ? state.text : "", x: from[0] + 6, y: from[1] - 6, fill: "#fff", font: "12px DejaVu Sans" } },
        ],
      };
    },
  }];
  echarts.init(body).setOption(options);
}

const kinds = { stat: drawStat, table: drawTable, timeseries: drawGraph, heatmap: drawHeat, "state-timeline": drawTimeline };

document.getElementById("title").textContent = board.title;
document.getElementById("about").textContent = board.description +
  " Drawn from Prometheus' answers to the dashboard's own queries; this is not Grafana. Dashed: drains that start (blue) and end (green).";
const grid = document.getElementById("grid");
for (const p of board.panels) {
  const { x, y, w, h } = p.panel.gridPos;
  const box = element("div", p.panel.type === "row" ? "row" : "panel", grid);
  box.style.gridColumn = `${x + 1} / span ${w}`;
  box.style.gridRow = `${y + 1} / span ${h}`;
  element("div", "title", box, p.panel.title);
  if (p.panel.type !== "row") kinds[p.panel.type](element("div", "body", box), p);
}
