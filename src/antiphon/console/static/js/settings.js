// Every setting as a form, made from what the server says about it; and the persona of single servers.

import { ApiError } from "./api.js";
import { button, byId, h, toast } from "./dom.js";
import { attempt, start } from "./shell.js";

const visit = await start();
const rows = new Map(); // key -> {item, control, row, hint, error}
let tree;

if (visit) {
  byId("find").addEventListener("input", filter);
  byId("changed-only").addEventListener("change", filter);
  byId("sections").addEventListener("submit", (event) => event.preventDefault());
  byId("sections").addEventListener("input", count);
  byId("save").addEventListener("click", save);
  byId("discard").addEventListener("click", () => draw(tree));
  const found = new URLSearchParams(location.search).get("find");
  if (found) byId("find").value = found;
  const first = await attempt(() => visit.api.get("/api/settings"));
  if (first) draw(first);
  servers();
  addEventListener("beforeunload", (event) => changes().length && event.preventDefault());
}

function draw(next) {
  tree = next;
  rows.clear();
  byId("places").textContent = `Saved to ${tree.file}; secrets to files of their own in ${tree.secrets}. The environment wins over both.`;
  const sections = tree.sections.map((section) => {
    const items = tree.items.filter((item) => item.section === section.name);
    const id = `section-${section.name || "top"}`;
    return h(
      "section",
      { class: "card settings", "aria-labelledby": id },
      h("header", {}, h("h2", { id }, section.name || "General"), h("p", { class: "small muted" }, section.description)),
      ...items.map(rowOf),
    );
  });
  byId("sections").replaceChildren(...sections);
  filter();
  count();
}

function rowOf(item) {
  const id = `set-${item.key}`;
  const control = controlOf(item, id);
  const error = h("small", { class: "problem", id: `${id}-error`, role: "alert" });
  const chips = [
    item.restart && !item.locked ? h("span", { class: "chip", title: "A change takes effect at the next start" }, "restart") : null,
    item.pending ? h("span", { class: "chip risk" }, "waits for a restart") : null,
  ];
  const back = item.here && !item.locked ? button("repeat", "", () => setBack(item), { kind: "quiet", label: `Set ${item.key} back` }) : null;
  const from = item.locked || (item.is_set || item.origin !== "default" ? `From ${item.origin}.` : "Default.");
  const hint = h("small", { id: `${id}-hint` }, `${item.description} `, h("span", { class: "muted" }, [...item.limits, from].join(" · ")));
  const row = h(
    "div",
    { class: "setting", "data-key": item.key },
    h("div", { class: "row wrap" }, h("label", { for: id, class: "mono" }, item.key), ...chips, h("span", { class: "push" }), back),
    control,
    hint,
    error,
  );
  rows.set(item.key, { item, control, row, error });
  return row;
}

function controlOf(item, id) {
  const common = { id, disabled: Boolean(item.locked), "aria-describedby": `${id}-hint ${id}-error`, autocomplete: "off" };
  if (item.kind === "true or false") return h("input", { type: "checkbox", role: "switch", ...common, checked: item.value === true });
  if (item.choices.length) {
    const select = h("select", common, ...item.choices.map((word) => h("option", { value: word }, word || "(none)")));
    select.value = item.value ?? "";
    return select;
  }
  if (item.kind === "list of tables" || item.kind === "table of tables" || item.key === "system_prompt") {
    const area = h("textarea", { rows: 4, spellcheck: "false", ...common });
    area.value = text(item);
    return area;
  }
  const type = item.kind === "secret text" ? "password" : "text";
  const number = { "whole number": "numeric", number: "decimal" }[item.kind];
  const placeholder = item.kind === "secret text" && item.is_set ? "stored; leave empty to keep it" : null;
  return h("input", { type, value: text(item), inputmode: number, spellcheck: "false", placeholder, ...common, autocomplete: type === "password" ? "new-password" : "off" });
}

function text(item) {
  if (item.value === null || item.value === undefined) return "";
  if (item.kind === "list of texts") return item.value.join(", ");
  return typeof item.value === "object" ? JSON.stringify(item.value, null, 2) : String(item.value);
}

/** What a control says now, as the server takes it; undefined when it was left alone. Throws on what is no value. */
function valueOf({ item, control }) {
  if (control.type === "checkbox") return control.checked === (item.value === true) ? undefined : control.checked;
  const now = control.value.trim();
  if (now === text(item).trim()) return undefined;
  if (item.kind === "secret text") return now || undefined;
  if (item.kind === "list of texts") return now.split(",").map((part) => part.trim()).filter(Boolean);
  if (item.kind === "list of tables") return now ? JSON.parse(now) : null;
  if (item.kind === "whole number" || item.kind === "number") {
    if (now === "") return null;
    const value = Number(now);
    if (!Number.isFinite(value)) throw new SyntaxError("is not a number");
    return value;
  }
  return control.value;
}

const given = ({ control }) => (control.type === "checkbox" ? control.checked : control.value);

function give(row, value) {
  if (!row || row.control.disabled) return;
  row.control[row.control.type === "checkbox" ? "checked" : "value"] = value;
}

function changes() {
  return [...rows.values()].filter((row) => {
    try {
      return valueOf(row) !== undefined;
    } catch {
      return true;
    }
  });
}

function count() {
  const changed = changes().length;
  byId("savebar").hidden = changed === 0;
  byId("save-count").textContent = changed === 1 ? "1 change" : `${changed} changes`;
  byId("save-problem").textContent = "";
}

async function save() {
  const values = {};
  for (const row of rows.values()) mark(row, "");
  for (const row of changes()) {
    try {
      values[row.item.key] = valueOf(row);
    } catch {
      mark(row, row.item.kind === "list of tables" ? "is not valid JSON" : "is not a number");
      row.control.focus();
      return;
    }
  }
  await write(values);
}

async function setBack(item) {
  await write({ [item.key]: null });
}

async function write(values) {
  const sent = new Map(Object.keys(values).map((key) => [key, rows.has(key) ? given(rows.get(key)) : null]));
  try {
    const next = await visit.api.patch("/api/settings", { values });
    const typed = changes().filter((row) => given(row) !== sent.get(row.item.key)).map((row) => [row.item.key, given(row)]);
    draw(next);
    for (const [key, value] of typed) give(rows.get(key), value); // what was changed beside it, or meanwhile
    count();
    const waits = next.items.filter((item) => item.pending && item.key in values).length;
    toast(waits ? "Saved; some of it takes effect at the next start" : "Saved, in effect now");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    byId("savebar").hidden = false;
    byId("save-problem").textContent = error.message;
    const wrong = Object.entries(error.fields).map(([key, problem]) => mark(rows.get(key) ?? rows.get(key.split(".")[0]), problem));
    wrong.find(Boolean)?.focus();
  }
}

function mark(row, problem) {
  if (!row) return null;
  row.error.textContent = problem;
  row.control.toggleAttribute("aria-invalid", false);
  if (problem) row.control.setAttribute("aria-invalid", "true");
  return problem ? row.control : null;
}

function filter() {
  const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const isSetOnly = byId("changed-only").checked;
  let shown = 0;
  for (const { item, row } of rows.values()) {
    const about = `${item.key} ${item.description} ${item.section}`.toLowerCase();
    row.hidden = !words.every((word) => about.includes(word)) || (isSetOnly && item.origin === "default");
    shown += row.hidden ? 0 : 1;
  }
  for (const section of byId("sections").querySelectorAll("section")) section.hidden = !section.querySelector(".setting:not([hidden])");
  byId("found").textContent = words.length || isSetOnly ? `${shown} settings` : "";
}

async function servers() {
  const answer = await attempt(() => visit.api.get("/api/servers"));
  if (!answer) return;
  byId("servers").hidden = false;
  if (!answer.items.length) {
    byId("server-list").replaceChildren(h("p", { class: "muted small" }, "No Discord server or Telegram group has been heard of yet. Each will stand here with what can be set for it."));
    return;
  }
  byId("server-list").replaceChildren(...answer.items.map(serverOf));
}

function serverOf(server) {
  const area = h("textarea", { rows: 3, maxlength: 8000, name: "persona" });
  area.value = server.persona;
  const form = h(
    "form",
    { class: "setting" },
    h("h3", {}, server.name || `${server.platform} ${server.id}`, " ", h("span", { class: "chip" }, server.platform)),
    h("label", { class: "field" }, "Persona: what the agent is told about its role there ", area),
    h("button", { type: "submit", class: "btn" }, "Save"),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await attempt(() => visit.api.patch(`/api/servers/${server.id}`, { persona: area.value.trim() }), "Saved, in effect now");
  });
  return form;
}
