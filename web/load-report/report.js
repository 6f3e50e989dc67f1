// Draws the report of a load run from the result that stands in the page.
//
// Texts of the result reach the page only as text nodes, never as markup. A part that the result does not have is left
// out with its heading. Read it from the end: `drawReport` is the table of contents.

const result = JSON.parse(document.getElementById("result").textContent);

// What became of a request, in the order in which it is stacked and listed.
const OUTCOMES = [
  { key: "accepted", name: "accepted" },
  { key: "refused", name: "refused" },
  { key: "overloaded", name: "overloaded" },
  { key: "failed", name: "failed" },
  { key: "timed_out", name: "timed out" },
];

// What an audit can find, as the shop's owner would say it.
const FINDINGS = {
  lost: "answered as accepted, but the shop does not have it",
  doubled: "one request, more than one order",
  oversold: "more pieces sold than there were",
  undersold: "refused as out of stock although pieces were left at the end",
  differs: "the shop has it, but not as it was answered",
  stuck: "neither done nor undone when the run was over",
  above_limit: "more pieces of the sale for one customer or card than its limit",
  out_of_turn: "admitted before a customer in front, or not as was drawn",
  unexplained: "refused in the sale, and the shop cannot say why",
};

const SKUS_SHOWN = 40; // rows of the audit's table; the full list stays in result.json
const STOCK_LINES = 6; // lines that a reader can still tell apart
const REASONS_DRAWN = 3; // refusals per percentile chart, the most frequent ones
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];
const LINE_COLOURS = ["line-1", "line-2", "line-3", "line-4"];

// ---- numbers as text --------------------------------------------------------------------------------------------------

const whole = (number) => Math.round(number).toLocaleString("en-US").replace("-", "−");

// Of any number of them; as arguments, a week's seconds would be too many.
const least = (numbers) => numbers.reduce((one, other) => Math.min(one, other), Infinity);

const most = (numbers) => numbers.reduce((one, other) => Math.max(one, other), -Infinity);

const brief = (number) => number.toLocaleString("en-US", { maximumSignificantDigits: 3 });

// Three significant digits, so that 4 and 4.00 do not stand in one column.
const exact = (number) =>
  number === 0 ? "0" : number.toLocaleString("en-US", { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });

const rate = (number) => (Math.abs(number) >= 100 ? whole(number) : brief(number));

const percent = (share) => `${brief(share * 100)}\u00a0%`;

const counted = (number, one, many) => `${whole(number)} ${number === 1 ? one : many}`;

// Splits a latency into number and unit: 38.2 ms, 1.21 s.
const latencyParts = (ms) => (ms >= 1000 ? [exact(ms / 1000), "s"] : [exact(ms), "ms"]);

const latency = (ms) => latencyParts(ms).join("\u00a0");

const NINETY_NINE = "99\u00a0of\u00a0100";

function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = number < 1 ? 0 : Math.min(Math.floor(Math.log2(number) / 10), units.length - 1);
  return `${brief(number / 1024 ** power)}\u00a0${units[power]}`;
}

// A second of the run as a clock shows it once seconds alone are hard to read.
function clock(seconds) {
  if (result.seconds <= 300) return brief(seconds);
  const pad = (part) => String(part).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds % 60)];
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(rest)}` : `${minutes}:${pad(rest)}`;
}

// Formats a figure of the engine by the unit that its series states.
function inUnit(unit, number) {
  if (unit === "seconds") return number === 0 ? "0" : number < 0.001 ? `${brief(number * 1e6)}\u00a0µs` : latency(number * 1000);
  if (unit === "bytes") return bytes(number);
  return rate(number);
}

const inWords = (name) => name.replaceAll("_", " ");

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function listed(parts) {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

// ---- elements ---------------------------------------------------------------------------------------------------------

const byId = (id) => document.getElementById(id);

// Makes an element; strings among the children become text nodes.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// A table whose columns are {title, number?, wide?}; cells are strings or elements. Wider than the page, it scrolls.
function table(caption, columns, rows) {
  const classOf = (column) => (column.number ? { class: "number" } : column.wide ? { class: "wide" } : {});
  const head = element("tr", {}, ...columns.map((column) => element("th", { scope: "col", ...classOf(column) }, column.title)));
  const body = rows.map(({ cells, group }) =>
    element(
      "tr",
      group ? { class: "group" } : {},
      ...cells.map((cell, index) =>
        element(index === 0 ? "th" : "td", { ...(index === 0 ? { scope: "row" } : {}), ...classOf(columns[index]) }, cell),
      ),
    ),
  );
  return element(
    "div",
    { class: "scroll", role: "region", tabindex: "0", "aria-label": caption },
    element(
      "table",
      { class: "data" },
      element("caption", {}, element("span", {}, caption)),
      element("thead", {}, head),
      element("tbody", {}, ...body),
    ),
  );
}

// A list of [name, value]; pairs without a value are left out.
function facts(pairs) {
  return element(
    "dl",
    { class: "facts" },
    ...pairs
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}

const sign = (good, text) => element("span", { class: `sign ${good ? "good" : "bad"}` }, `${good ? "✓" : "✗"} ${text}`);

// ---- readings of the result -------------------------------------------------------------------------------------------

const timeline = result.timeline ?? [];
const stages = result.stages ?? [];
const steps = result.steps ?? [];
const runEnd = Math.max(result.seconds, timeline.length > 0 ? timeline.at(-1).second + 1 : 0);

const accepted = steps.filter((row) => row.outcome === "accepted");

// The step that the report is about: placing an order, or what was asked most in a scenario without orders.
const mainStep = steps.some((row) => row.step === "place_order")
  ? "place_order"
  : ([...steps].sort((a, b) => b.count - a.count)[0]?.step ?? null);

const ordersRun = mainStep === "place_order";

const stepNames = [...new Set(steps.map((row) => row.step))].sort((a, b) => (b === mainStep) - (a === mainStep));

// Where latencies count from; only an open loop has intended starts.
const countedFrom = stages.some((stage) => stage.kind === "open") ? "from the intended start" : "from the start of a request";

const rowsOf = (step, outcome) =>
  steps.filter((row) => row.step === step && row.outcome === outcome).sort((a, b) => b.count - a.count);

const biggest = (items, size) => items.reduce((best, item) => (best === null || size(item) > size(best) ? item : best), null);

// How many accepted answers of the main step a second had, or null where a result does not tell.
function acceptedInSecond() {
  if (ordersRun && timeline.every((entry) => typeof entry.orders === "number")) return (entry) => entry.orders;
  return accepted.every((row) => row.step === mainStep) ? (entry) => entry.accepted : null;
}

// Mean per second over the whole seconds of a stage; null for a pause or a stage shorter than a second.
function stageMean(stage, countOf) {
  const [first, end] = [Math.ceil(stage.from), Math.floor(stage.to)];
  if (stage.kind === "pause" || end <= first) return null;
  const inside = timeline.filter((entry) => entry.second >= first && entry.second < end);
  return inside.reduce((sum, entry) => sum + countOf(entry), 0) / (end - first);
}

// The best stage's rate of accepted orders; the whole run's where the result cannot tell stages apart.
function peak() {
  const [row] = rowsOf(mainStep, "accepted");
  if (!row) return null;
  const countOf = acceptedInSecond();
  const means =
    countOf === null
      ? []
      : stages.map((stage) => ({ stage, mean: stageMean(stage, countOf) })).filter(({ mean }) => mean !== null);
  const best = biggest(means, ({ mean }) => mean);
  if (best !== null) return { perSecond: best.mean, when: `in the stage “${best.stage.name}”`, best: true };
  return { perSecond: row.per_second, when: "on average over the whole run", best: false };
}

// SKUs with their readings as [second, pieces], those that sold most first; the audit knows what was there before.
function stockReadings() {
  const readings = new Map((result.audit?.skus ?? []).map(({ sku, start }) => [sku, [[0, start]]]));
  for (const entry of timeline) {
    for (const [sku, pieces] of Object.entries(entry.stock ?? {})) {
      if (!readings.has(sku)) readings.set(sku, []);
      readings.get(sku).push([entry.second + 0.5, pieces]);
    }
  }
  return [...readings]
    .filter(([, points]) => points.at(-1)[0] > 0)
    .map(([sku, points]) => ({
      sku,
      points,
      first: points[0][1],
      last: points.at(-1)[1],
      soldOut: points[0][1] > 0 ? (points.find(([, pieces]) => pieces <= 0)?.[0] ?? null) : null,
    }))
    .sort((a, b) => b.first - b.last - (a.first - a.last));
}

const stock = stockReadings();

// Series of one metric and unit belong in one chart: "shobai_commit_seconds p50" and "… p99".
function engineGroups() {
  const groups = new Map();
  for (const series of result.engine?.series ?? []) {
    if (series.points.length === 0) continue;
    const metric = series.name.split(" ")[0];
    const key = `${metric} ${series.unit}`;
    if (!groups.has(key)) groups.set(key, { metric, unit: series.unit, series: [] });
    groups.get(key).series.push({ label: series.name.slice(metric.length).trim() || "value", points: series.points });
  }
  return [...groups.values()];
}

// ---- charts -----------------------------------------------------------------------------------------------------------

const charts = []; // all of the page, to be drawn anew for another width, other colours or paper

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const CANVAS_FONT = `system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif`;

// Strokes that tell the outcomes apart without their colours, on a tile of 8 × 8.
const HATCHES = {
  accepted: [],
  refused: [
    [-2, 10, 10, -2],
    [-2, 2, 2, -2],
    [6, 10, 10, 6],
  ],
  overloaded: [[0, 4, 8, 4]],
  failed: [
    [-2, 10, 10, -2],
    [-2, -2, 10, 10],
  ],
  timed_out: [[4, 0, 4, 8]],
};

function hatchedTile(outcome, size) {
  const tile = element("canvas", { width: size, height: size });
  const pen = tile.getContext("2d");
  pen.scale(size / 8, size / 8);
  pen.fillStyle = colour(outcome);
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = colour("page");
  pen.globalAlpha = 0.55;
  pen.lineWidth = 1.2;
  for (const [x0, y0, x1, y1] of HATCHES[outcome]) {
    pen.beginPath();
    pen.moveTo(x0, y0);
    pen.lineTo(x1, y1);
    pen.stroke();
  }
  return tile;
}

// The sample of a line in a legend, as a CSS background.
function lineSample(line) {
  const sample = element("canvas", { width: 48, height: 24 });
  const pen = sample.getContext("2d");
  pen.scale(2, 2);
  pen.strokeStyle = colour(line.colour);
  pen.lineWidth = 2.5;
  pen.setLineDash(line.dash ?? []);
  pen.beginPath();
  pen.moveTo(0, 6);
  pen.lineTo(24, 6);
  pen.stroke();
  return `url(${sample.toDataURL()}) 0 0 / 24px 12px no-repeat`;
}

const hatchSample = (outcome) => `url(${hatchedTile(outcome, 16).toDataURL()}) 0 0 / 8px 8px`;

// Shades the stages behind the curves: every second one lightly, pauses darker.
function shadeStages(plot) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  stages.forEach((stage, index) => {
    if (stage.kind !== "pause" && index % 2 === 1) return;
    const [left, right] = [plot.valToPos(stage.from, "x", true), plot.valToPos(stage.to, "x", true)];
    ctx.fillStyle = colour(stage.kind === "pause" ? "pause" : "stage");
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
  });
  ctx.restore();
}

// Draws the stages' bounds over the curves and their names above; a name that does not fit is its number alone.
function nameStages(plot) {
  const { ctx, bbox } = plot;
  const pixel = devicePixelRatio;
  ctx.save();
  ctx.font = `600 ${12 * pixel}px ${CANVAS_FONT}`;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  stages.forEach((stage, index) => {
    const left = Math.max(plot.valToPos(stage.from, "x", true), bbox.left);
    const right = Math.min(plot.valToPos(stage.to, "x", true), bbox.left + bbox.width);
    if (right <= left) return;
    ctx.strokeStyle = colour("rule");
    ctx.lineWidth = pixel;
    ctx.setLineDash([]);
    ctx.beginPath();
    ctx.moveTo(left, bbox.top - 16 * pixel);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    const fitting = [`${index + 1} ${stage.name}`, `${index + 1}`].find(
      (text) => ctx.measureText(text).width <= right - left - 8 * pixel,
    );
    ctx.fillStyle = colour("muted");
    if (fitting) ctx.fillText(fitting, left + 5 * pixel, bbox.top - 6 * pixel);
  });
  ctx.restore();
}

// Marks the second in which the SKU of the most sales ran out, in the chart itself.
function markSoldOut(plot) {
  const { ctx, bbox } = plot;
  const pixel = devicePixelRatio;
  const at = stock.find((reading) => reading.soldOut !== null)?.soldOut ?? null;
  const x = at === null ? -1 : plot.valToPos(at, "x", true);
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  ctx.save();
  ctx.strokeStyle = colour("ink");
  ctx.lineWidth = 1.5 * pixel;
  ctx.setLineDash([3 * pixel, 3 * pixel]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.font = `600 ${12 * pixel}px ${CANVAS_FONT}`;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  const width = ctx.measureText("sold out").width + 10 * pixel;
  const left = x + width + 4 * pixel > bbox.left + bbox.width ? x - width : x;
  ctx.fillStyle = colour("page");
  ctx.fillRect(left + pixel, bbox.top + pixel, width, 18 * pixel);
  ctx.fillStyle = colour("ink");
  ctx.fillText("sold out", left + 6 * pixel, bbox.top + 14 * pixel);
  ctx.restore();
}

// Brings lines with points of their own to one common x axis, as uPlot wants them.
function columns(spec) {
  const ends = spec.xEnds ? [[spec.xEnds, [null, null]]] : [];
  const tables = [...ends, ...spec.lines.map((line) => [line.points.map(([x]) => x), line.points.map(([, y]) => y)])];
  const joined = uPlot.join(tables);
  return spec.xEnds ? [joined[0], ...joined.slice(2)] : joined;
}

function chartSeries(spec, line) {
  return {
    label: line.label,
    stroke: () => colour(line.colour),
    width: line.width ?? 2,
    dash: line.dash ?? [],
    fill: line.hatch
      ? (plot) => plot.ctx.createPattern(hatchedTile(line.hatch, Math.round(8 * devicePixelRatio)), "repeat")
      : undefined,
    points: { show: line.points.length < 3 },
    value: (_plot, _value, _series, index) => (index === null ? "" : legendValue(spec, line, index)),
  };
}

// What the legend shows at the cursor: the line's own figure, also where it is drawn stacked on others.
function legendValue(spec, line, index) {
  const value = line.shown ? line.shown.get(spec.joined[0][index]) : spec.joined[spec.lines.indexOf(line) + 1][index];
  return value === null || value === undefined ? "–" : (spec.told ?? spec.y)(value);
}

function yScale(spec) {
  if (spec.log) return { distr: 3, log: 10, range: (_plot, min, max) => uPlot.rangeLog(min ?? 1, max ?? 10, 10, true) };
  return { range: (_plot, _min, max) => [0, max > 0 ? uPlot.rangeNum(0, max, 0.06, true)[1] : 1] };
}

const isDecade = (value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;

const onlyDecades = (_plot, splits) => splits.map((value) => (isDecade(value) ? value : null));

const every = (_plot, splits) => splits;

const BINARY_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);

// Axes of all charts look alike; a logarithmic one has lines at 1, 10, 100 only.
function axes(spec) {
  const filter = spec.log ? onlyDecades : every;
  const rules = { stroke: () => colour("grid"), width: 1, filter };
  const text = { stroke: () => colour("muted"), font: `12px ${CANVAS_FONT}` };
  return [
    { ...text, size: 34, space: 44, ticks: { ...rules, size: 5, filter: every }, grid: { show: false }, ...spec.xAxis },
    {
      ...text,
      size: 64,
      space: spec.height < 200 ? 28 : 36,
      ticks: { ...rules, size: 5 },
      grid: rules,
      filter,
      ...(spec.binary ? { incrs: BINARY_STEPS } : {}),
      values: (_plot, splits) => splits.map((value) => (value === null ? null : spec.y(value))),
    },
  ];
}

function legendSample(line) {
  return line.hatch ? hatchSample(line.hatch) : lineSample(line);
}

function chartOptions(spec, width) {
  return {
    width,
    height: heightOf(spec),
    padding: [spec.staged ? 24 : 10, 22, 0, 0],
    scales: { x: { time: false }, y: yScale(spec) },
    axes: axes(spec),
    series: [
      { label: "", value: (_plot, value) => (value === null ? "" : spec.x(value)) },
      ...spec.lines.map((line) => chartSeries(spec, line)),
    ],
    bands: spec.stacked
      ? spec.lines
          .slice(1)
          .map((_line, index) => ({ series: [index + 2, index + 1] }))
          .slice(0, spec.stacked - 1)
      : [],
    legend: { markers: { width: 0, fill: (_plot, index) => (index === 0 ? "none" : legendSample(spec.lines[index - 1])) } },
    cursor: { y: false, drag: { x: true, y: false }, sync: { key: spec.sync, scales: ["x", null] } },
    hooks: {
      drawClear: spec.staged ? [shadeStages] : [],
      draw: [...(spec.staged ? [nameStages] : []), ...(spec.soldOut ? [markSoldOut] : [])],
    },
  };
}

const TIME_STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];

// What all charts over the run's time have in common; pointing at one points at all.
const overTime = () => ({
  sync: "time",
  staged: true,
  xEnds: [0, runEnd],
  x: (second) => `${result.seconds <= 300 ? "second " : ""}${clock(Math.floor(Math.min(second, runEnd - 1)))}`,
  xAxis: {
    incrs: TIME_STEPS,
    values: (_plot, splits) => splits.map((second) => (result.seconds <= 300 ? `${clock(second)} s` : clock(second))),
  },
});

// Places a second's figure in the middle of that second; the first and the last reach the run's bounds.
function perSecond(valueOf) {
  const [first, last] = [timeline[0], timeline.at(-1)];
  return [
    [first.second, valueOf(first)],
    ...timeline.map((entry) => [entry.second + 0.5, valueOf(entry)]),
    [last.second + 1, valueOf(last)],
  ];
}

// Puts a chart with its heading and its summary in words under `parent`.
function addChart(parent, title, unit, summary, spec) {
  const host = element("div", {
    class: spec.stacked ? "chart stacked" : "chart",
    role: "img",
    "aria-label": `Chart: ${title}. ${summary}`,
  });
  parent.append(
    element(
      "figure",
      {},
      element("h3", {}, title, unit ? element("span", { class: "unit" }, `, ${unit}`) : null),
      host,
      element("figcaption", {}, summary),
    ),
  );
  charts.push({ host, spec, plot: null });
}

// Charts are flatter on paper, so that a page holds what belongs together.
const heightOf = (spec) => (document.documentElement.hasAttribute("data-paper") ? Math.round(spec.height * 0.7) : spec.height);

function drawCharts() {
  for (const chart of charts) {
    chart.plot?.destroy();
    chart.spec.joined = columns(chart.spec);
    chart.plot = new uPlot(chartOptions(chart.spec, chart.host.clientWidth), chart.spec.joined, chart.host);
  }
}

function fitCharts() {
  for (const { host, spec, plot } of charts) plot.setSize({ width: host.clientWidth, height: heightOf(spec) });
}

// Paper has its own colours and width, which must stand before the browser lays out the pages.
function preparePaper(printing) {
  document.documentElement.toggleAttribute("data-paper", printing);
  for (const details of document.querySelectorAll("details")) details.open = printing || details.dataset.open === "true";
  drawCharts();
  drawSwatches();
}

// ---- the parts of the report ------------------------------------------------------------------------------------------

function drawTitle() {
  const { scenario, started_at, shard } = result;
  const at = new Date(started_at).toLocaleString("en-GB", { dateStyle: "long", timeStyle: "medium", timeZone: "UTC" });
  document.title = `${scenario.name} – load report`;
  byId("name").textContent = `Load report: ${scenario.name}`;
  byId("about").textContent = capital(scenario.about ?? "");
  byId("run").textContent = [
    result.target,
    `${at} UTC`,
    `${brief(result.seconds)} s`,
    `${whole(result.totals.started)} requests`,
    shard && shard.of > 1 ? `shard ${shard.number} of ${shard.of}` : null,
  ]
    .filter((part) => part !== null)
    .join(" · ");
}

function addBanner(kind, title, text, items = []) {
  byId("banners").append(
    element(
      "div",
      { class: `banner ${kind}`, role: kind === "bad" ? "alert" : "note" },
      element("strong", {}, title),
      " ",
      text,
      items.length > 0 ? element("ul", {}, ...items.map((item) => element("li", {}, item))) : null,
    ),
  );
}

function drawBanners() {
  if (!result.valid)
    addBanner("bad", "✗ This run is not valid.", "Do not quote its rates and latencies:", result.invalid_because ?? []);
  if (result.ended === "interrupted")
    addBanner("warn", "This run was interrupted.", `The figures are those of its ${brief(result.seconds)} seconds.`);
  if (result.shard?.of > 1)
    addBanner(
      "warn",
      `This is shard ${result.shard.number} of ${result.shard.of}.`,
      "Merge the shards before quoting rates and latencies.",
    );
}

// One of the three large figures; `more` is what a reader needs in order not to misunderstand it.
function figure(title, value, unit, what, more, kind = "") {
  const doubtful = kind === "doubtful" ? element("p", { class: "doubt" }, "✗ not valid") : null;
  return element(
    "div",
    { class: `figure ${kind}` },
    element("h3", {}, title),
    element(
      "p",
      { class: /^[\d.,]+$/.test(value) ? "value" : "value worded" },
      value,
      unit ? element("small", {}, `\u00a0${unit}`) : null,
    ),
    doubtful,
    element("p", { class: "what" }, what),
    element("p", { class: "more" }, more),
  );
}

function speedFigure() {
  const best = peak();
  const what = `${ordersRun ? "orders" : "requests"} accepted per second`;
  if (best === null) return figure("How fast", "–", "", what, "Nothing was accepted.");
  const ordersInAll = result.timeline.reduce((sum, second) => sum + second.orders, 0);
  const inAll = ordersRun ? ` ${counted(ordersInAll, "order", "orders")} accepted in all.` : "";
  return figure(
    "How fast",
    rate(best.perSecond),
    "/s",
    what,
    `${best.best ? "At peak, " : ""}${best.best ? best.when : capital(best.when)}.${inAll}`,
    result.valid ? "" : "doubtful",
  );
}

// Timed-out requests have no latency, so a percentile of the accepted ones must say how many it leaves out.
function leftOut() {
  const counts = ["timed_out", "failed", "overloaded"].map((outcome) => [
    rowsOf(mainStep, outcome).reduce((sum, row) => sum + row.count, 0),
    OUTCOMES.find(({ key }) => key === outcome).name,
  ]);
  const parts = counts.filter(([count]) => count > 0).map(([count, name]) => `${whole(count)} ${name}`);
  return parts.length === 0 ? "" : ` Not in it: ${listed(parts)}.`;
}

function latencyFigure() {
  const row = rowsOf(mainStep, "accepted")[0];
  const what = ordersRun ? "p99 of placing an order" : `p99 of ${mainStep ? `“${inWords(mainStep)}”` : "all requests"}`;
  if (!row) return figure("How fair", "–", "", what, "Nothing was accepted.");
  const { p50, p99, max } = row.latency_ms;
  const [value, unit] = latencyParts(p99);
  return figure(
    "How fair",
    value,
    unit,
    what,
    `${NINETY_NINE} accepted ${ordersRun ? "orders" : "requests"} were answered within this, half within ${latency(p50)}, ` +
      `the unluckiest after ${latency(max)}; counted ${countedFrom}.${leftOut()}`,
    result.valid ? "" : "doubtful",
  );
}

const foundInWords = (findings) => listed(findings.map(({ kind, count }) => `${whole(count)} ${kind}`));

function auditFigure() {
  const { audit } = result;
  const title = "Was anything oversold?";
  if (!audit)
    return figure(title, "Not audited", "", "the answers were not compared with the shop", "Run again with --audit to know.");
  if (audit.clean && audit.checked.accepted === 0)
    return figure(title, "Nothing sold", "", "the audit had nothing to find", "No order was accepted.");
  if (audit.clean) {
    return figure(
      title,
      "✓ Nothing",
      "",
      "oversold, lost or doubled",
      `${counted(audit.checked.accepted, "accepted order", "accepted orders")} and ${counted(audit.checked.refused, "refusal", "refusals")} compared with what the shop says.`,
      "good",
    );
  }
  const findings = audit.findings ?? [];
  const total = findings.reduce((sum, { count }) => sum + count, 0);
  return figure(
    title,
    total > 0 ? `✗ ${whole(total)} wrong` : "✗ Not clean",
    "",
    foundInWords(findings) || "see the engine's own audit",
    `Among ${counted(audit.checked.accepted, "accepted order", "accepted orders")}; examples are under Audit.`,
    "bad",
  );
}

function speedSentence() {
  const best = peak();
  if (best === null) return "Nothing was accepted. ";
  const what = ordersRun ? "orders" : "requests";
  return best.best
    ? `At its peak, ${best.when}, the shop accepted ${rate(best.perSecond)} ${what} a second. `
    : `The shop accepted ${rate(best.perSecond)} ${what} a second ${best.when}. `;
}

function fairnessSentence() {
  const [taken] = rowsOf(mainStep, "accepted");
  const [refused] = rowsOf(mainStep, "refused");
  if (!taken) return "";
  const times = taken.latency_ms.p50 > 0 ? `, ${brief(taken.latency_ms.p99 / taken.latency_ms.p50)} times the median` : "";
  const refusals = refused ? `, and ${NINETY_NINE} refusals within ${latency(refused.latency_ms.p99)}` : "";
  const who = `${peak()?.best ? "Over the whole run, " : ""}${NINETY_NINE} accepted ${ordersRun ? "orders" : "requests"}`;
  return `${who} were answered within ${latency(taken.latency_ms.p99)}${times}${refusals}. `;
}

function auditSentence() {
  const { audit } = result;
  if (!audit) return "Whether anything was oversold, lost or doubled is not known: this run was not audited.";
  if (audit.clean && audit.checked.accepted === 0) return "No order was accepted, so the audit had nothing to find.";
  if (audit.clean) return "The audit found nothing oversold, lost or doubled.";
  const found = foundInWords(audit.findings ?? []);
  return found ? `The audit found ${found}.` : "The engine’s own audit is not clean.";
}

function drawVerdict() {
  const doubt = result.valid ? "" : "This run is not valid: its rates and latencies are no more than a hint. ";
  document.querySelector("#verdict .words").textContent = doubt + speedSentence() + fairnessSentence() + auditSentence();
  document.querySelector("#verdict .figures").append(speedFigure(), latencyFigure(), auditFigure());
}

function throughputSummary() {
  const { totals } = result;
  const answered = (entry) => OUTCOMES.reduce((sum, { key }) => sum + entry[key], 0);
  const best = biggest(timeline, answered);
  const shares = OUTCOMES.filter(({ key }) => totals[key] > 0).map(
    ({ key, name }) =>
      `${totals[key] / totals.started < 0.001 ? whole(totals[key]) : percent(totals[key] / totals.started)} ${name}`,
  );
  const wanted = typeof best.wanted === "number" ? ` (wanted: ${rate(best.wanted)})` : "";
  return `The busiest second was ${clock(best.second)} with ${whole(answered(best))} answers${wanted}. Of ${whole(totals.started)} requests: ${listed(shares)}.`;
}

function drawThroughput(section) {
  if (timeline.length === 0) return false;
  const present = OUTCOMES.filter(({ key }) => timeline.some((entry) => entry[key] > 0));
  const lines = present.map(({ key, name }, index) => ({
    label: name,
    colour: key,
    hatch: key,
    width: 0,
    shown: new Map(perSecond((entry) => entry[key])),
    points: perSecond((entry) => present.slice(0, index + 1).reduce((sum, below) => sum + entry[below.key], 0)),
  }));
  const wanted = { label: "wanted", colour: "ink", dash: [6, 4], points: perSecond((entry) => entry.wanted) };
  const open = timeline.some((entry) => typeof entry.wanted === "number");
  addChart(section, "Answers by outcome", "per second", throughputSummary(), {
    ...overTime(),
    height: 340,
    stacked: lines.length,
    soldOut: true,
    y: rate,
    lines: open ? [...lines, wanted] : lines,
  });
  section.append(stageTable());
  if (result.goals.length > 0) section.append(goalTable(result.goals));
  return true;
}

function stageTable() {
  const countOf = acceptedInSecond();
  const best = peak();
  const loops = { open: "open loop", closed: "closed loop", pause: "pause" };
  const rows = stages.map((stage, index) => {
    const mean = countOf === null ? null : stageMean(stage, countOf);
    const part =
      typeof stage.wanted_per_second === "number" && stage.wanted_per_second > 0
        ? percent(stage.reached_per_second / stage.wanted_per_second)
        : "–";
    return {
      cells: [
        `${index + 1} ${stage.name}`,
        loops[stage.kind] + (stage.workers ? `, ${counted(stage.workers, "worker", "workers")}` : ""),
        `${clock(stage.from)}–${clock(stage.to)}${result.seconds <= 300 ? " s" : ""}`,
        typeof stage.wanted_per_second === "number" ? rate(stage.wanted_per_second) : "–",
        stage.kind === "pause" ? "–" : rate(stage.reached_per_second),
        part,
        ...(countOf === null
          ? []
          : [mean === null ? "–" : rate(mean) + (best?.best && mean === best.perSecond ? " (peak)" : "")]),
        rate(stage.refused_per_second),
        typeof stage.engine_cores === "number" ? stage.engine_cores.toFixed(2) : "–",
      ],
    };
  });
  const acceptedColumn = { title: ordersRun ? "orders accepted per second" : "accepted per second", number: true };
  return table(
    "Stages of the run",
    [
      { title: "stage" },
      { title: "kind" },
      { title: "when" },
      { title: "wanted per second", number: true },
      { title: "reached per second", number: true },
      { title: "reached", number: true },
      ...(countOf === null ? [] : [acceptedColumn]),
      { title: "refused per second", number: true },
      { title: "cores of the engine", number: true },
    ],
    rows,
  );
}

function goalTable(goals) {
  return table(
    "What the scenario wanted",
    [{ title: "goal", wide: true }, { title: "wanted" }, { title: "is", number: true }, { title: "" }],
    goals.map(({ name, value, at_least, at_most, met }) => ({
      cells: [
        name,
        at_least === null ? `at most ${at_most}` : `at least ${at_least}`,
        value < 100 ? value.toFixed(2) : whole(Math.round(value)),
        sign(met, met ? "reached" : "missed"),
      ],
    })),
  );
}

function latencySummary() {
  const medians = timeline.map((entry) => entry.p50_ms).filter((value) => value !== null);
  const worst = biggest(timeline, (entry) => entry.p99_ms ?? -1);
  const longest = biggest(timeline, (entry) => entry.max_ms ?? -1);
  return (
    `The median of a second lay between ${latency(least(medians))} and ${latency(most(medians))}. ` +
    `The worst second was ${clock(worst.second)} with a p99 of ${latency(worst.p99_ms)}; the longest wait of all was ${latency(longest.max_ms)}, in second ${clock(longest.second)}.`
  );
}

// A logarithm has no zero; a thousandth of a millisecond is below what is measured.
const aboveZero = (value) => (value === null || value === undefined ? null : Math.max(value, 0.001));

const tickLatency = (ms) => (ms >= 1000 ? `${brief(ms / 1000)} s` : `${brief(ms)} ms`);

function drawLatency(section) {
  if (!timeline.some((entry) => typeof entry.p50_ms === "number")) return false;
  addChart(section, "Latency", `${countedFrom}, logarithmic`, latencySummary(), {
    ...overTime(),
    height: 320,
    log: true,
    y: tickLatency,
    told: latency,
    lines: [
      { label: "p50 (half)", colour: "line-1", points: perSecond((entry) => aboveZero(entry.p50_ms)) },
      { label: "p99", colour: "line-2", dash: [8, 4], points: perSecond((entry) => aboveZero(entry.p99_ms)) },
      { label: "slowest", colour: "line-3", dash: [2, 3], points: perSecond((entry) => aboveZero(entry.max_ms)) },
    ],
  });
  const busiest = biggest(timeline, (entry) => entry.in_flight);
  addChart(
    section,
    "Requests in flight",
    "asked and not yet answered",
    `At most ${whole(busiest.in_flight)} at once, in second ${clock(busiest.second)}.`,
    {
      ...overTime(),
      height: 170,
      y: rate,
      lines: [{ label: "in flight", colour: "line-1", points: perSecond((entry) => entry.in_flight) }],
    },
  );
  return true;
}

// 0, 90, 99, 99.9 … stand at equal distances: x is the number of nines.
const nines = (percentile) => Math.log10(100 / (100 - percentile));

// A curve ends at its slowest request, which of n is the one at 1 − 1/n.
function curvePoints(row) {
  const end = Math.log10(Math.max(row.count, 2));
  const inner = row.curve
    .filter(([percentile]) => percentile > 0 && percentile < 100 && nines(percentile) < end)
    .map(([percentile, ms]) => [nines(percentile), aboveZero(ms)]);
  return [[0, aboveZero(row.latency_ms.min)], ...inner, [end, aboveZero(row.latency_ms.max)]];
}

const PERCENTILE_TICKS = [0, 50, 90, 99, 99.9, 99.99, 99.999, 99.9999];

function percentileSpec(rows, height) {
  const reasons = new Map();
  const dashOf = (row) => {
    if (row.outcome === "accepted") return [];
    reasons.set(row, reasons.size + 1);
    return DASHES[reasons.size];
  };
  return {
    sync: "percentile",
    height,
    log: true,
    y: tickLatency,
    told: latency,
    x: (x) => `percentile ${Number((100 - 100 / 10 ** x).toFixed(x < 2 ? 1 : Math.ceil(x)))}`,
    xAxis: {
      splits: (_plot, _axis, _min, max) => PERCENTILE_TICKS.map(nines).filter((x) => x <= max + 0.001),
      values: (_plot, splits) => splits.map((_x, index) => String(PERCENTILE_TICKS[index])),
    },
    lines: rows.map((row) => ({
      label: row.reason ? `${row.outcome}: ${row.reason}` : row.outcome,
      colour: row.outcome,
      dash: dashOf(row),
      points: curvePoints(row),
    })),
  };
}

function percentileSummary(rows) {
  return rows
    .map(
      (row) =>
        `${capital(row.outcome)}${row.reason ? ` (${row.reason})` : ""}: half within ${latency(row.latency_ms.p50)}, ` +
        `99 % within ${latency(row.latency_ms.p99)}, the slowest ${latency(row.latency_ms.max)}.`,
    )
    .join(" ");
}

function drawPercentiles(section) {
  const parts = stepNames
    .map((step) => ({
      step,
      rows: [...rowsOf(step, "accepted"), ...rowsOf(step, "refused").slice(0, REASONS_DRAWN)].filter(
        (row) => row.curve?.length > 0 && row.count > 1,
      ),
    }))
    .filter(({ rows }) => rows.length > 0);
  const others = element("div", { class: "pair" });
  for (const { step, rows } of parts) {
    const main = step === mainStep;
    addChart(
      main ? section : others,
      capital(inWords(step)),
      "by percentile, logarithmic",
      percentileSummary(rows),
      percentileSpec(rows, main ? 320 : 230),
    );
  }
  if (others.hasChildNodes()) section.append(others);
  return parts.length > 0;
}

const order = (outcome) => OUTCOMES.findIndex(({ key }) => key === outcome);

function outcomeCell(outcome) {
  return element(
    "span",
    {},
    element("span", { class: "swatch", "data-outcome": outcome, "aria-hidden": "true" }),
    OUTCOMES[order(outcome)].name,
  );
}

function drawOutcomes(section) {
  const rows = stepNames.flatMap((step) =>
    steps
      .filter((row) => row.step === step)
      .sort((a, b) => order(a.outcome) - order(b.outcome) || b.count - a.count)
      .map((row, index) => ({
        group: index === 0,
        cells: [
          inWords(step),
          outcomeCell(row.outcome),
          row.reason ?? "",
          whole(row.count),
          rate(row.per_second),
          ...["p50", "p90", "p99", "p99_9", "max"].map((name) => exact(row.latency_ms[name])),
        ],
      })),
  );
  const numbers = ["count", "per second", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"].map((title) => ({
    title,
    number: true,
  }));
  section.append(
    table(
      `Every step by outcome and reason; per second over the whole run; latencies in milliseconds ${countedFrom}`,
      [{ title: "step" }, { title: "outcome" }, { title: "reason" }, ...numbers],
      rows,
    ),
  );
  return rows.length > 0;
}

// Canvas patterns have the page's colours, so the tables' samples are painted with the charts.
function drawSwatches() {
  for (const swatch of document.querySelectorAll("[data-outcome]")) swatch.style.background = hatchSample(swatch.dataset.outcome);
}

function stockSummary() {
  const told = stock
    .slice(0, STOCK_LINES)
    .map(
      ({ sku, first, last, soldOut }) =>
        `${sku}: from ${whole(first)} pieces to ${whole(last)}${soldOut === null ? "" : `, sold out in second ${clock(Math.floor(soldOut))}`}.`,
    );
  const rest = stock.length - told.length;
  return told.join(" ") + (rest > 0 ? ` ${counted(rest, "SKU", "SKUs")} that sold less are not drawn.` : "");
}

function drawStock(section) {
  if (stock.length === 0) return false;
  addChart(section, "Pieces available", "as the shop said during the run", stockSummary(), {
    ...overTime(),
    height: 260,
    soldOut: true,
    y: rate,
    lines: stock
      .slice(0, STOCK_LINES)
      .map(({ sku, points }, index) => ({
        label: sku,
        points,
        colour: LINE_COLOURS[index % LINE_COLOURS.length],
        dash: DASHES[index % DASHES.length],
      })),
  });
  return true;
}

function engineSummary({ unit, series }) {
  return series
    .map(({ label, points }) => {
      const values = points.map(([, value]) => value).filter((value) => value !== null);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const text = `between ${inUnit(unit, least(values))} and ${inUnit(unit, most(values))}, on average ${inUnit(unit, mean)}.`;
      return series.length > 1 ? `${capital(label)} ${text}` : capital(text);
    })
    .join(" ");
}

function drawEngine(section) {
  const groups = engineGroups();
  if (groups.length === 0) return false;
  section.append(
    element(
      "p",
      {},
      `Read from ${result.engine.source} during the run. Pointing at a second here points at it in every chart above.`,
    ),
  );
  const pair = element("div", { class: "pair" });
  for (const group of groups) {
    const inName = ["seconds", "bytes"].includes(group.unit);
    addChart(pair, group.metric, inName ? "" : group.unit, engineSummary(group), {
      ...overTime(),
      height: 190,
      binary: group.unit === "bytes",
      y: (value) => inUnit(group.unit, value),
      lines: group.series.map(({ label, points }, index) => ({
        label,
        points,
        colour: LINE_COLOURS[index % LINE_COLOURS.length],
        dash: DASHES[index % DASHES.length],
      })),
    });
  }
  section.append(pair);
  return true;
}

// The one sentence about coordinated omission, and where a closed loop is not protected from it.
function honestyWords() {
  const closed = stages.filter((stage) => stage.kind === "closed").map((stage) => `“${stage.name}”`);
  const open = stages.some((stage) => stage.kind === "open");
  const omission =
    "A generator that waits for an answer before it sends the next request leaves out exactly the requests that a slow " +
    "moment would have delayed (coordinated omission), so here every request of an open loop has its intended start " +
    "fixed beforehand and its latency counts from that start.";
  const exception =
    closed.length === 0
      ? ""
      : ` ${open ? "The" : "This run’s"} closed loop ${listed(closed)} does wait, as its workers would, and shows slow moments too small.`;
  return omission + exception;
}

function drawGenerator(section) {
  const { generator } = result;
  if (!generator) return false;
  const late =
    typeof generator.late_ms === "number"
      ? `started more than ${brief(generator.late_ms)}\u00a0ms late`
      : "started later than the limit";
  const lag = generator.lag_ms;
  section.append(
    element("p", {}, honestyWords()),
    element(
      "p",
      {},
      result.valid ? sign(true, "The generator kept up.") : sign(false, "The run is not valid."),
      " ",
      result.valid
        ? `${percent(generator.late_share)} of the requests ${late}, and it used ${percent(generator.cpu_share)} of its processor time.`
        : (result.invalid_because ?? []).join("; "),
    ),
    facts([
      [capital(late), percent(generator.late_share)],
      ["Lag of a start, p50", lag && latency(lag.p50)],
      ["Lag of a start, p99", lag && latency(lag.p99)],
      ["Lag of a start, most", lag && latency(lag.max)],
      ["Processor time used", `${percent(generator.cpu_share)} of ${counted(generator.threads, "thread", "threads")}`],
      ["Processor seconds", brief(generator.cpu_seconds)],
      ["Memory at most", bytes(generator.memory_peak_bytes)],
      ["Connections opened", whole(generator.connections_opened)],
    ]),
  );
  const worst = biggest(timeline, (entry) => entry.lag_max_ms ?? -1);
  if (worst !== null) {
    addChart(
      section,
      "The generator’s own lag",
      "the latest start of each second",
      `At most ${latency(worst.lag_max_ms)}, in second ${clock(worst.second)}.`,
      {
        ...overTime(),
        height: 170,
        y: tickLatency,
        told: latency,
        lines: [{ label: "lag", colour: "line-1", points: perSecond((entry) => entry.lag_max_ms) }],
      },
    );
  }
  return true;
}

function findingsTable(findings) {
  return table(
    "What is wrong",
    [{ title: "finding" }, { title: "count", number: true }, { title: "meaning", wide: true }, { title: "examples", wide: true }],
    findings.map(({ kind, count, examples }) => ({
      cells: [
        sign(false, kind),
        whole(count),
        FINDINGS[kind] ?? "",
        element("ul", {}, ...(examples ?? []).map((example) => element("li", {}, example))),
      ],
    })),
  );
}

const expectedOf = ({ start, accepted, cancelled }) => start - accepted + cancelled;

function balanceSign(sku) {
  if (sku.balance === 0) return sign(true, "balanced");
  const wrong = expectedOf(sku) < 0 ? "oversold" : sku.balance > 0 ? "missing" : "too many";
  return sign(false, `${counted(Math.abs(sku.balance), "piece", "pieces")} ${wrong}`);
}

function skuTable(skus) {
  const shown = [...skus]
    .sort((a, b) => Math.abs(b.balance) - Math.abs(a.balance) || b.accepted - a.accepted)
    .slice(0, SKUS_SHOWN);
  const rest = skus.length - shown.length;
  const unseen = rest > 0 ? `; ${counted(rest, "more SKU is", "more SKUs are")} in result.json` : "";
  const caption = `Pieces by SKU: start − accepted + cancelled must be what is available${unseen}`;
  const columns = [
    { title: "SKU" },
    { title: "start", number: true },
    { title: "− accepted", number: true },
    { title: "+ cancelled", number: true },
    { title: "= expected", number: true },
    { title: "available", number: true },
    { title: "verdict" },
  ];
  return table(
    caption,
    columns,
    shown.map((sku) => ({
      cells: [
        sku.sku,
        whole(sku.start),
        whole(sku.accepted),
        whole(sku.cancelled),
        whole(expectedOf(sku)),
        whole(sku.available),
        balanceSign(sku),
      ],
    })),
  );
}

const saleSentence = ({ allotment, sold, limit, most_of_one, tickets, drawn, admitted, offences, explained }) =>
  `In the sale ${whole(sold)} of ${whole(allotment)} pieces were sold, ${whole(most_of_one)} for one customer or card at most ` +
  `(limit ${whole(limit)}). Of ${whole(tickets)} tickets ${whole(drawn)} were drawn and ${whole(admitted)} let in; ` +
  `${whole(explained)} of ${whole(offences)} refusals of those who broke a rule are explained.`;

function drawAudit(section) {
  const { audit } = result;
  if (!audit) return false;
  const { checked, engine_audit } = audit;
  section.append(
    element(
      "p",
      {},
      audit.clean ? sign(true, "Clean.") : sign(false, "Not clean."),
      " After the run, what the clients had been answered was compared with what the shop says: " +
        `${counted(checked.accepted, "accepted order", "accepted orders")}, ${counted(checked.refused, "refusal", "refusals")}, and ` +
        `${counted(checked.settled_by_key, "request", "requests")} without an answer, settled by the idempotency key.`,
    ),
  );
  if (audit.sale) section.append(element("p", {}, saleSentence(audit.sale)));
  if (audit.findings?.length > 0) section.append(findingsTable(audit.findings));
  if (audit.skus?.length > 0) section.append(skuTable(audit.skus));
  if (engine_audit) {
    section.append(
      element(
        "details",
        engine_audit.clean ? {} : { open: "", "data-open": "true" },
        element(
          "summary",
          {},
          sign(engine_audit.clean, `The engine’s own audit ${engine_audit.clean ? "agrees" : "is not clean"}`),
        ),
        element("pre", {}, engine_audit.output),
      ),
    );
  }
  return true;
}

function drawConditions(section) {
  const { machine, versions, scenario } = result;
  section.append(
    facts([
      ["Processor", machine?.cpu],
      ["Cores", machine && whole(machine.cores)],
      ["Memory", machine && bytes(machine.memory_bytes)],
      ["System", machine?.system],
      ["shobai load", versions?.load],
      ["Engine", versions?.engine],
      ["Target", result.target],
      ["Started", result.started_at],
      ["Result", result.schema],
    ]),
  );
  if (scenario.text)
    section.append(
      element(
        "details",
        { open: "", "data-open": "true" },
        element("summary", {}, "The scenario that was run"),
        element("pre", {}, scenario.text),
      ),
    );
  return true;
}

// Draws one part, or takes it away with its heading when the result has nothing for it.
function drawPart(id, draw) {
  const section = byId(id);
  if (!draw(section)) return section.remove();
  document
    .querySelector("nav ul")
    .append(element("li", {}, element("a", { href: `#${id}` }, section.querySelector("h2").textContent)));
}

function drawReport() {
  drawTitle();
  drawBanners();
  drawVerdict();
  drawPart("throughput", drawThroughput);
  drawPart("latency", drawLatency);
  drawPart("percentiles", drawPercentiles);
  drawPart("outcomes", drawOutcomes);
  drawPart("stock", drawStock);
  drawPart("engine", drawEngine);
  drawPart("generator", drawGenerator);
  drawPart("audit", drawAudit);
  drawPart("conditions", drawConditions);
  drawCharts();
  drawSwatches();
}

drawReport();
addEventListener("resize", fitCharts);
addEventListener("beforeprint", () => preparePaper(true));
addEventListener("afterprint", () => preparePaper(false));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  drawCharts();
  drawSwatches();
});
