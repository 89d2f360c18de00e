// What was consumed: figures, a plot over the days, and the same numbers as a table.

import uPlot from "../vendor/uplot.js";
import { ApiError, withQuery } from "./api.js";
import { button, byId, errorCard, h } from "./dom.js";
import { Filters } from "./filters.js";
import { empty } from "./list.js";
import { Order } from "./order.js";
import { start } from "./shell.js";
import { took } from "./times.js";

const HEIGHT = 240;
const DAY_MS = 86_400_000;
const visit = await start({ onBack: () => read() });
const readings = new Order();
let filters, plot, points;

if (visit) {
  filters = new Filters(byId("filters"), () => read());
  new ResizeObserver(() => plot?.setSize({ width: byId("plot").clientWidth, height: HEIGHT })).observe(byId("plot"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
  new MutationObserver(() => draw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  read();
}

async function read() {
  const { by = "day", days = "30", person = "" } = filters.values;
  const isNews = readings.ask();
  try {
    const table = await visit.api.get(withQuery("/api/usage", { by, days, person }));
    if (!isNews()) return;
    byId("trouble").replaceChildren();
    points = by === "day" && table.items.length ? daily(table, Number(days)) : null;
    figures(table.total);
    draw();
    rows(table, by);
    byId("unpriced").textContent = table.unpriced.length
      ? `Without a price, and so counted as free: ${table.unpriced.join(", ")}. Prices stand in the settings.`
      : "";
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (!isNews() || error.status === 401) return;
    const again = button("again", "Try again", () => read());
    const card = { title: "The accounts could not be read", happened: error.message, kept: "All of them.", actions: [again] };
    byId("trouble").replaceChildren(errorCard(card));
  }
}

function figures(total) {
  const pairs = [
    ["Turns", total.turns.toLocaleString()],
    ["Tokens read", total.input_tokens.toLocaleString()],
    ["Tokens written", total.output_tokens.toLocaleString()],
    ["Cost", money(total.cost)],
    ["Time", took(total.seconds)],
  ];
  byId("stats").replaceChildren(...pairs.map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value))));
}

function money(cost) {
  return cost.toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: cost && cost < 1 ? 4 : 2 });
}

/** One point for each day, also for days without a turn. A day of the calendar is drawn at its midnight UTC: evenly. */
function daily({ items, today: last }, days) {
  const known = new Map(items.map((item) => [item.key, item]));
  const today = Date.parse(last);
  const at = Array.from({ length: days }, (_, index) => today - (days - 1 - index) * DAY_MS);
  const of = (name) => at.map((day) => known.get(new Date(day).toISOString().slice(0, 10))?.[name] ?? 0);
  return [at.map((day) => day / 1000), of("turns"), of("cost")];
}

/** Colours are read from the page each time: a plot follows neither the style sheet nor the theme. */
function draw() {
  plot?.destroy();
  plot = null;
  byId("plot").hidden = !points;
  if (!points) return;
  const style = getComputedStyle(document.body);
  const colour = (name) => {
    const probe = byId("plot");
    probe.style.color = `var(${name})`;
    const value = getComputedStyle(probe).color;
    probe.style.color = "";
    return value;
  };
  const line = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: colour("--ink-3"), grid: line, ticks: line, font: `12px ${style.fontFamily}` };
  const options = {
    width: byId("plot").clientWidth,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    scales: { cost: { range: (_plot, _low, high) => [0, high || 1] }, y: { range: (_plot, _low, high) => [0, high || 1] } },
    axes: [{ ...axis, values: (_plot, days) => days.map(dayOf), space: 60 }, { ...axis, label: "turns" }, { ...axis, side: 1, scale: "cost", label: "cost", grid: { show: false } }],
    // Without the mouse on a day, the legend tells of the last one.
    series: [
      { label: "Day", value: (_plot, at) => dayOf(at ?? points[0].at(-1)) },
      { label: "Turns", stroke: colour("--call-line"), width: 2, fill: colour("--call-wash"), value: (_plot, turns) => latest(turns, 1).toLocaleString() },
      { label: "Cost", stroke: colour("--reply"), width: 2, scale: "cost", value: (_plot, cost) => money(latest(cost, 2)) },
    ],
  };
  plot = new uPlot(options, points, byId("plot"));
}

const latest = (value, row) => (typeof value === "number" ? value : points[row].at(-1));
const dayOf = (seconds) =>
  new Date(seconds * 1000).toLocaleDateString(undefined, { day: "numeric", month: "short", timeZone: "UTC" });

function rows({ items, timezone }, by) {
  if (items.length === 0) {
    byId("table").replaceChildren(empty("Nothing was consumed", "In these days nobody asked anything."));
    return;
  }
  const columns = [
    [{ day: `Day (${timezone.replaceAll("_", " ")})`, model: "Model", server: "Server", person: "Person" }[by], "text", (item) => item.name || item.key || "none"],
    ["Turns", "n", (item) => item.turns.toLocaleString()],
    ["Tokens read", "n hide-phone", (item) => item.input_tokens.toLocaleString()],
    ["Tokens written", "n hide-phone", (item) => item.output_tokens.toLocaleString()],
    ["Cost", "n", (item) => money(item.cost)],
    ["Time", "n hide-phone", (item) => took(item.seconds)],
  ];
  const head = columns.map(([label, kind]) => h("th", { scope: "col", class: kind }, label));
  const body = items.map((item) => h("tr", {}, ...columns.map(([label, kind, cell]) => h("td", { class: kind, "data-label": label }, cell(item)))));
  const caption = h("caption", { class: "sr" }, "What was consumed");
  byId("table").replaceChildren(
    h("div", { class: "tablebox" }, h("table", {}, caption, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...body))),
  );
}
