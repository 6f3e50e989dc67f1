// What the operators' pages do beyond the kit: the rows of a plan, and the live figures of a sale.
"use strict";

(() => {
  // --- rows of a plan

  const rows = document.getElementById("rows");
  if (rows) {
    let count = rows.children.length;
    const showRemove = () => {
      const all = rows.querySelectorAll("[data-remove]");
      all.forEach((button) => { button.hidden = all.length < 2; });
    };
    document.querySelector("[data-more]").addEventListener("click", (event) => {
      event.preventDefault();
      const row = rows.lastElementChild.cloneNode(true);
      row.querySelectorAll(".problem").forEach((problem) => problem.remove());
      row.querySelectorAll("input").forEach((input) => {
        const id = `${input.name}-${count}`;
        row.querySelector(`label[for="${input.id}"]`).htmlFor = id;
        input.id = id;
        input.value = "";
        input.removeAttribute("aria-invalid");
        input.removeAttribute("aria-describedby");
      });
      count += 1;
      rows.append(row);
      showRemove();
      row.querySelector("input").focus();
    });
    rows.addEventListener("click", (event) => {
      const button = event.target.closest("[data-remove]");
      if (!button || rows.children.length < 2) return;
      const row = button.closest("[data-row]");
      const next = row.nextElementSibling || row.previousElementSibling;
      row.remove();
      showRemove();
      next.querySelector("input").focus();
    });
    showRemove();
  }

  // --- the live view of a sale

  const strip = document.querySelector("[data-events]");
  if (!strip) return;

  const number = new Intl.NumberFormat("en");
  const link = document.getElementById("link");
  let ahead = 0; // How many milliseconds the server's clock is ahead of this one.
  let requested = null; // The state of the sale for which the page was last renewed.

  const setText = (element, text) => {
    if (element && element.textContent !== text) element.textContent = text;
  };
  const show = (selector, value) => setText(document.querySelector(selector), number.format(value));

  const showLink = (state, word) => {
    link.className = `link is-${state}`;
    setText(link.querySelector(".link-word"), word);
  };
  const showLost = () => {
    showLink("lost", link.dataset.lost);
    // Without figures it is unknown whether they agree.
    const light = document.getElementById("light");
    light.dataset.is = "false";
    const word = light.querySelector(".light-word");
    setText(word, word.dataset.stale);
  };

  const two = (part) => String(part).padStart(2, "0");
  const countDown = () => {
    const element = document.querySelector(".countdown");
    if (!element) return;
    const now = Date.now() + ahead;
    const words = element.dataset;
    const [word, until] = words.over === "true" ? [words.overWord, now]
      : now < words.opens ? [words.opensWord, words.opens]
      : now < words.closes ? [words.closesWord, words.closes] : [words.overWord, now];
    let rest = Math.max(0, Math.ceil((until - now) / 1000));
    const days = Math.floor(rest / 86400);
    rest %= 86400;
    const time = `${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}`;
    setText(element.querySelector(".countdown-word"), word);
    setText(element.querySelector(".countdown-time"), until === now ? "" : days ? `${days}${words.days} ${time}` : time);
  };
  countDown();
  setInterval(countDown, 250);
  // A part of the page that was replaced has no countdown yet.
  document.body.addEventListener("htmx:afterSettle", countDown);

  const duration = (seconds, words) => {
    const [form, value] = seconds < 120 ? [words.seconds, seconds]
      : seconds < 7200 ? [words.minutes, Math.round(seconds / 60)] : [words.hours, Math.round(seconds / 3600)];
    return form.replace("{}", number.format(value));
  };

  const showVitals = ({ latency, holds, commit_lag_ms, event_lag_ms }) => {
    const { unknown, milliseconds } = document.getElementById("vitals").dataset;
    const words = document.getElementById("skus").dataset;
    const figures = { ...latency, ...holds, commit_lag_ms, event_lag_ms };
    for (const element of document.querySelectorAll("[data-vital]")) {
      const name = element.dataset.vital;
      const value = figures[name] ?? null;
      setText(element, value === null ? unknown : name.endsWith("_seconds") ? duration(value, words)
        : milliseconds.replace("{}", value < 10 ? value.toFixed(1) : number.format(Math.round(value))));
    }
  };

  const showSkus = (skus, actors) => {
    const loads = new Map(actors.map((actor) => [actor.sku, actor]));
    const words = document.getElementById("skus").dataset;
    const rowsBySku = new Map([...document.querySelectorAll("[data-sku]")].map((row) => [row.dataset.sku, row]));
    for (const view of skus) {
      const row = rowsBySku.get(view.sku);
      if (!row) continue;
      const figure = (name, text) => setText(row.querySelector(`[data-figure="${name}"]`), text);
      figure("allotment", number.format(view.allotment));
      const load = loads.get(view.sku);
      if (load) for (const name of ["waiting", "restarts"]) figure(name, number.format(load[name]));
      const badge = row.querySelector('[data-figure="ready"]');
      if (badge) {
        const isReady = load?.ready ?? false;
        setText(badge, isReady ? words.ready : words.notReady);
        badge.classList.toggle("ready", isReady);
      }
      if (!view.figures) continue;
      for (const name of ["remaining", "held", "sold", "expired", "lapsed"]) figure(name, number.format(view.figures[name]));
      row.querySelector("progress").value = 100 * (view.figures.held + view.figures.sold) / Math.max(1, view.allotment);
      figure("forecast", view.figures.remaining === 0 ? words.soldOut
        : view.sells_out_in === null ? "–" : duration(view.sells_out_in, words));
    }
  };

  // --- charts

  const COLOURS = ["#d1495b", "#2e86ab", "#8a6fdf", "#c77700", "#128a63", "#8d5a2b", "#c2408f", "#6a7b8c", "#b3261e", "#3f7d20"];
  const SECONDS = 120;
  const times = Array.from({ length: SECONDS }, (_, index) => index - SECONDS + 1);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const charts = new Map();

  const padded = (column) => [...Array(Math.max(0, SECONDS - column.length)).fill(null), ...column.slice(-SECONDS)];

  /** The legend shows the latest second, or the one under the pointer. */
  const showLatest = (plot) => {
    if (plot.cursor.idx === null || plot.cursor.left < 0) plot.setLegend({ idx: SECONDS - 1 });
  };

  /** Draws columns, each with its label and colour; other columns than before need a new chart. */
  const draw = (id, columns) => {
    const element = document.getElementById(id);
    const names = columns.map((column) => column.label).join("\n");
    const data = [times, ...columns.map((column) => padded(column.values))];
    const chart = charts.get(id);
    if (chart && chart.names === names) {
      chart.plot.setData(data);
      showLatest(chart.plot);
      return;
    }
    if (chart) chart.plot.destroy();
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    const plot = new uPlot({
      width: Math.max(200, element.clientWidth),
      height: 220,
      scales: { x: { time: false, range: () => [1 - SECONDS, 0] }, y: { range: (_, __, max) => [0, Math.max(5, max * 1.1)] } },
      legend: { live: true },
      axes: [
        { ...axis, values: (_, splits) => splits.map((second) => `${second} s`) },
        { ...axis, size: 52, values: (_, splits) => splits.map((value) => Number.isInteger(value) ? number.format(value) : "") },
      ],
      series: [
        { label: "s" },
        ...columns.map((column) => ({ label: column.label, stroke: column.colour, width: 2, fill: column.fill, points: { show: false } })),
      ],
    }, data, element);
    charts.set(id, { plot, names });
    showLatest(plot);
  };
  new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const chart = charts.get(target.id);
      if (chart) chart.plot.setSize({ width: Math.max(200, target.clientWidth), height: 220 });
    }
  }).observe(document.getElementById("attempts-chart"));
  new ResizeObserver(() => {
    const chart = charts.get("refusals-chart");
    if (chart) chart.plot.setSize({ width: Math.max(200, document.getElementById("refusals-chart").clientWidth), height: 220 });
  }).observe(document.getElementById("refusals-chart"));

  const gates = [...document.querySelectorAll("[data-gate]")];
  const gateLabel = (index) => gates[index].parentElement.querySelector("dt").textContent;

  const showView = (view) => {
    ahead = view.now - Date.now();
    showSkus(view.skus, view.vitals.actors);
    showVitals(view.vitals);
    show('[data-total="attempts"]', view.totals.attempts);
    show('[data-total="accepted"]', view.totals.accepted);
    show('[data-total="refused"]', view.totals.refused.reduce((sum, count) => sum + count, 0));
    view.totals.refused.forEach((count, index) => setText(gates[index], number.format(count)));

    const light = document.getElementById("light");
    light.hidden = !view.light;
    if (view.light) {
      light.dataset.is = view.light.is_green;
      const word = light.querySelector(".light-word");
      setText(word, view.light.is_green ? word.dataset.green : view.light.is_fresh ? word.dataset.red : word.dataset.stale);
      const breaches = document.getElementById("breaches");
      if (breaches.childElementCount || view.light.breaches.length) {
        breaches.replaceChildren(...view.light.breaches.map((breach) => (
          Object.assign(document.createElement("li"), { textContent: breach }))));
      }
      for (const name of ["stock", "holds", "orders"]) show(`[data-light="${name}"]`, view.light[name]);
    }
    const queue = document.getElementById("queue");
    queue.hidden = !view.queue;
    if (view.queue) {
      for (const name of ["waiting", "admitted", "no_shows", "per_second"]) show(`[data-queue="${name}"]`, view.queue[name]);
      const wait = view.queue.wait_seconds;
      setText(queue.querySelector('[data-queue="wait_seconds"]'), wait === null
        ? document.getElementById("vitals").dataset.unknown : duration(wait, document.getElementById("skus").dataset));
    }

    const labels = document.getElementById("attempts-chart").dataset;
    draw("attempts-chart", [
      { label: labels.attempts, values: view.seconds.attempts, colour: "#2e86ab", fill: "rgba(46, 134, 171, .15)" },
      { label: labels.accepted, values: view.seconds.accepted, colour: "#128a63", fill: "rgba(18, 138, 99, .2)" },
    ]);
    draw("refusals-chart", view.seconds.refused.map(([gate, values]) => (
      { label: gateLabel(gate), values, colour: COLOURS[gate % COLOURS.length] })));

    // An operator or the schedule changed the sale: the parts that depend on it are renewed once for each version.
    const shown = document.getElementById("state").dataset;
    const state = [view.version, view.is_everything_stopped, view.proposals, view.unwritten].join("\n");
    const isOutdated = view.version > Number(shown.version) || String(view.is_everything_stopped) !== shown.stopped
      || view.proposals !== shown.proposals || view.unwritten !== shown.unwritten;
    if (isOutdated && requested !== state) {
      requested = state;
      htmx.trigger("#again", "again");
    }
  };

  // A renewal that failed is repeated after a while.
  for (const failure of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
    document.getElementById("again").addEventListener(failure, () => setTimeout(() => { requested = null; }, 3000));
  }

  // --- the stream

  /** Figures come twice a second. */
  const SILENT_AFTER = 5000;
  const toSignIn = () => location.assign(`/ops?back=${location.pathname}`);
  /** Connects again, unless the session has ended: then it leads to the sign-in page. */
  const connectAgain = async () => {
    const request = new AbortController();
    const giveUp = setTimeout(() => request.abort(), SILENT_AFTER);
    try {
      const answer = await fetch(strip.dataset.events, { redirect: "manual", signal: request.signal });
      request.abort();
      if (answer.type === "opaqueredirect") return toSignIn();
    } catch { /* The engine does not answer yet. */ }
    clearTimeout(giveUp);
    setTimeout(connect, 3000);
  };

  const connect = () => {
    const source = new EventSource(strip.dataset.events);
    let heard = Date.now();
    // A connection may be open although the engine behind it is gone.
    const watch = setInterval(() => {
      if (Date.now() - heard < SILENT_AFTER) return;
      source.close();
      clearInterval(watch);
      showLost();
      connectAgain();
    }, 1000);
    source.addEventListener("message", (event) => {
      heard = Date.now();
      showLink("live", link.dataset.live);
      showView(JSON.parse(event.data));
    });
    source.addEventListener("trouble", () => {
      heard = Date.now();
      showLost();
    });
    source.addEventListener("ended", () => {
      source.close();
      clearInterval(watch);
      toSignIn();
    });
    source.addEventListener("error", () => {
      showLost();
      // A browser connects again by itself only when the stream had begun.
      if (source.readyState !== EventSource.CLOSED) return;
      clearInterval(watch);
      connectAgain();
    });
    addEventListener("pagehide", () => source.close(), { once: true });
  };
  connect();
})();
