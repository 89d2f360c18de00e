// Draws one panel of the dashboard: a frame that stays, so that what somebody types in it stays, and a body made anew.

import { button, facts, h, icon, reconcile } from "./dom.js";
import { clock, clockWithSeconds, exact, now } from "./times.js";

const SVG = "http://www.w3.org/2000/svg";
const DASH = "–";
const CHIPS = { good: "good", busy: "busy", warning: "risk", error: "bad", off: "", plain: "" };
const DOTS = { good: "dot", busy: "dot wait", warning: "dot wait", error: "dot bad", off: "dot off", plain: "dot off" };
const WIDTHS = { voice: "w5 wide", logs: "w7 wide", events: "wide" };
const WAIT_MS = 250;
const HOUR_MS = 3_600_000;

/** Let everything that counts from a moment count on. */
export function tick() {
  for (const element of document.querySelectorAll("[data-since]")) element.textContent = lasted(element.dataset.since);
}

export class PanelFrame {
  view = { filter: "", q: "", page: "" };
  timer = 0;
  #head;
  #chip = h("span", { class: "chip" });
  #note = h("span", { class: "muted push num" });
  #choices = h("span", { class: "seg", role: "radiogroup" });
  #search = null;
  #body = h("div");
  #leaf = h("div", { class: "leaf" });
  #onChoice;
  #offered = "";

  /** `onChoice()`: the viewer chose another view. */
  constructor(name, onChoice) {
    this.name = name;
    this.#onChoice = onChoice;
    const id = `panel-${name}`;
    this.#head = h("header", { class: "row" }, h("h2", { id }), this.#chip);
    this.element = h("section", { class: `panel ${WIDTHS[name] ?? ""}`, "aria-labelledby": id, "data-panel": name });
    this.element.append(this.#head, this.#body, this.#leaf);
    this.#choices.setAttribute("aria-label", `Which ${name}`);
    if (name === "logs") this.#addSearch();
    this.#head.append(this.#note);
  }

  /** Whether the viewer sees something else than the first view. */
  get isChosen() {
    return Boolean(this.view.filter || this.view.q || this.view.page);
  }

  draw(panel) {
    this.#head.querySelector("h2").textContent = panel.title;
    this.#chip.hidden = !panel.status;
    this.#chip.className = `chip ${CHIPS[panel.tone] ?? ""}`;
    this.#chip.replaceChildren(h("span", { class: DOTS[panel.tone] ?? "dot off" }), panel.status);
    const about = [panel.note];
    if (panel.since && panel.name === "voice") about.push(panel.note ? ", " : "", since(panel.since));
    this.#note.replaceChildren(...about.filter(Boolean));
    this.#note.hidden = !this.#note.textContent;
    this.#filters(panel);
    const body = BODIES[panel.name](panel);
    if (panel.rows.length === 0 && panel.empty) body.push(h("p", { class: "none" }, panel.empty));
    reconcile(this.#body, body);
    this.#pages(panel);
  }

  #filters(panel) {
    if (panel.filters.length === 0) return;
    const offered = JSON.stringify(panel.filters);
    if (offered === this.#offered) return;
    this.#offered = offered;
    const name = `filter-${panel.name}`;
    this.#choices.replaceChildren(
      ...panel.filters.map(({ name: value, label }) =>
        h(
          "label",
          {},
          h("input", { type: "radio", name, value, checked: value === this.view.filter, onchange: () => this.#choose({ filter: value }) }),
          h("span", {}, label),
        ),
      ),
    );
    this.#head.insertBefore(this.#choices, this.#search ?? this.#note);
  }

  #addSearch() {
    this.#search = h("input", { class: "search push", type: "search", maxlength: 200, placeholder: "Find in logs", "aria-label": "Find in logs" });
    let timer = 0;
    this.#search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#choose({ q: this.#search.value.trim() }), WAIT_MS);
    });
    this.#head.append(this.#search);
  }

  #choose(change) {
    this.view = { ...this.view, page: "", ...change };
    this.#onChoice();
  }

  #pages({ page, pages, total }) {
    this.#leaf.hidden = pages < 2;
    const turn = (to) => () => this.#choose({ page: to > 1 ? String(to) : "" });
    const newer = button("back", "", turn(page - 1), { kind: "quiet", label: "Newer", disabled: page <= 1 });
    const older = button("more", "", turn(page + 1), { kind: "quiet", label: "Older", disabled: page >= pages });
    const had = this.#leaf.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    this.#leaf.replaceChildren(newer, h("span", { class: "num" }, `${page} of ${pages}, ${total.toLocaleString()} in all`), older);
    if (had) this.#leaf.querySelector(`[aria-label="${had}"]`)?.focus();
  }
}

const BODIES = {
  server: (panel) => [stats(panel), facts(panel.facts.map(fact))],
  messages: (panel) => [stats(panel), ...chart(panel.chart), facts(panel.facts.map(fact))],
  events: (panel) => list(panel, "feed", event),
  voice: (panel) => [...list(panel, "people", person), facts(panel.facts.map(fact))],
  logs: (panel) => list(panel, "logs", line),
};

const list = (panel, kind, row) => (panel.rows.length ? [h("ol", { class: `plain ${kind}` }, ...panel.rows.map(row))] : []);

function stats(panel) {
  const list = h("dl", { class: "stats" });
  for (const { label, value, unit } of panel.stats)
    list.append(h("div", {}, h("dt", {}, label), h("dd", {}, value ?? DASH, value && unit ? h("small", {}, ` ${unit}`) : null)));
  return list;
}

function fact({ label, value, share, tone, since: from }) {
  const text = h("span", { class: tone }, value ?? DASH);
  if (from) text.append(", for ", since(from));
  if (share === null) return [label, text];
  const bar = h("span", { class: `prog ${tone}`, "aria-hidden": "true" }, h("i"));
  bar.style.setProperty("--p", `${Math.round(share * 100)}%`);
  return [label, h("span", { class: "bar-of" }, bar, text)];
}

function event({ text, at, kind, tone, detail }) {
  return h("li", { class: tone }, icon(kind || "events"), h("span", {}, text, detail ? h("small", { class: "muted" }, ` ${detail}`) : null), time(at, clock));
}

function person({ who, kind, badge, detail, level, since: from }) {
  const meter = h("span", { class: "meter", "aria-hidden": "true" });
  for (let step = 1; step <= 10; step += 1) meter.append(h("i", { class: step <= (level ?? 0) ? "on" : "" }));
  return h(
    "li",
    { class: badge ? "talking" : "" },
    h("span", { class: kind === "agent" ? "who agent" : "who", "aria-hidden": "true" }, who.slice(0, 2)),
    h("span", { class: "cut" }, h("b", {}, who), badge ? " " : null, badge ? h("span", { class: "chip" }, badge) : null, h("small", { class: "cut" }, detail)),
    meter,
    h("span", { class: "for" }, from ? since(from) : DASH),
  );
}

function line({ text, at, kind, detail }) {
  const severity = kind === "warn" ? "warning" : kind;
  return h("li", { class: severity }, time(at, clockWithSeconds), h("b", {}, kind), h("span", { class: "what" }, h("span", { class: "src" }, `${detail} `), text));
}

const time = (at, show) => (at ? h("time", { datetime: at, title: exact(at) }, show(at)) : h("span"));
const since = (at) => h("span", { "data-since": at, class: "num" }, lasted(at));

/** How long ago a moment was: 0:07, 12:44, 3:02:11, 6 d 4 h. */
function lasted(at) {
  const seconds = Math.max(0, Math.floor((now() - new Date(at).getTime()) / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  const minutes = Math.floor((seconds % 3600) / 60);
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

function peak(values, ends) {
  const most = Math.max(...values);
  if (most === 0) return "nothing said in 24 hours";
  return `peak ${most}/h at ${clock(new Date(ends).getTime() - (values.length - values.indexOf(most)) * HOUR_MS)}`;
}

/** Two lines over the hours, and what they say in words. */
function chart({ series, ends }) {
  const summary = peak(series[0].values, ends);
  const [people, agent] = series;
  const most = Math.max(1, ...people.values, ...agent.values);
  const points = ({ values }) => values.map((value, index) => `${((index * 300) / (values.length - 1)).toFixed(1)} ${(66 - (60 * value) / most).toFixed(1)}`);
  const path = (kind, d) => {
    const element = document.createElementNS(SVG, "path");
    element.setAttribute("class", kind);
    element.setAttribute("d", d);
    return element;
  };
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ class: "spark", viewBox: "0 0 300 70", preserveAspectRatio: "none", fill: "none", role: "img", "aria-label": `Messages per hour over one day: ${summary}` }))
    svg.setAttribute(name, value);
  const said = points(people).join("L");
  svg.append(path("ground", "M0 66H300M0 36H300"), path("area", `M${said}L300 66L0 66Z`), path("line", `M${said}`), path("line reply", `M${points(agent).join("L")}`));
  const legend = h(
    "p",
    { class: "legend" },
    h("span", {}, h("i"), people.label),
    h("span", {}, h("i", { class: "reply" }), agent.label),
    h("span", { class: "num" }, summary),
  );
  return [svg, legend];
}
