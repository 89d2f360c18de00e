// Open reminders and timers, the next one first; they can be changed and cancelled.

import { all } from "./api.js";
import { titleOf } from "./conversations.js";
import { askForm, confirmDeed } from "./dialog.js";
import { button, byId, h, icon, toast } from "./dom.js";
import { newId } from "./keep.js";
import { empty, List } from "./list.js";
import { attempt, start } from "./shell.js";
import { due, exact } from "./times.js";

const EVERY_MS = 15_000;
const visit = await start({ onBack: () => list.refresh() });
let list;

if (visit) {
  byId("make").addEventListener("click", () => make());
  byId("make").disabled = false; // a click before this would go unheard
  list = new List(byId("list"), {
    api: visit.api,
    path: () => "/api/reminders?limit=100",
    kind: "keeping",
    order: (a, b) => Date.parse(a.due_at) - Date.parse(b.due_at),
    row,
    empty: () =>
      empty(
        "Nothing to remind you of",
        "Say “remind me tomorrow at nine to call the harbour”, in any place where we talk.",
        h("a", { class: "btn primary", href: "/" }, "Say it now"),
      ),
    onRead: (items, more) => {
      const count = `${items.length}${more ? " or more" : ""}`;
      byId("subtitle").textContent = items.length ? `${count} open, the next ${due(items[0].due_at)}` : "None is open";
    },
  });
  await list.reload();
  setInterval(() => document.hidden || list.refresh(), EVERY_MS);
}

function row(item) {
  return h(
    "li",
    {},
    h("span", { class: "muted" }, icon(item.kind === "timer" ? "clock" : "bell")),
    h(
      "span",
      { class: "grow" },
      item.text || item.kind,
      h("small", {}, ...repeats(item), h("time", { datetime: item.due_at, title: exact(item.due_at) }, due(item.due_at)), " · ", place(item)),
    ),
    button("pen", "", () => edit(item), { kind: "quiet", label: `Change: ${item.text || item.kind}` }),
    button("cross", "", () => cancel(item), { kind: "quiet", label: `Cancel: ${item.text || item.kind}` }),
  );
}

function place(item) {
  return h("a", { href: `/history/${encodeURIComponent(item.channel)}` }, "where it was asked");
}

function repeats({ repeats: rule }) {
  return rule ? [icon("repeat"), ` ${rule.words} (${rule.timezone}); next `] : [];
}

const RULES = [
  ["", "once"],
  ["FREQ=DAILY", "every day"],
  ["FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "on weekdays"],
  ["FREQ=WEEKLY", "every week"],
  ["FREQ=MONTHLY", "every month"],
];
const notOver = ({ due_at }) => (Date.parse(due_at) > Date.now() ? "" : "That time has passed already.");

/** A new one, in one of the person's own conversations: there it will be said. */
async function make() {
  const channels = await attempt(() => all(visit.api, "/api/channels", 2));
  if (!channels) return;
  const places = channels.map((one) => [one.key, titleOf(one)]);
  if (!places.length) return toast("Say something in the chat first: reminders come in a conversation", "bell");
  const answer = await askForm({
    title: "New reminder",
    yes: "Remind me",
    fields: [
      { name: "text", label: "What", maxlength: 1000, required: true },
      { name: "due_at", label: "When", type: "datetime-local", value: localInput(Date.now() + 3_600_000), required: true },
      { name: "rule", label: "How often", options: RULES },
      { name: "channel", label: "In the conversation", options: places, value: places[0][0] },
    ],
    check: notOver,
  });
  if (!answer) return;
  const wanted = { ...answer, due_at: new Date(answer.due_at).toISOString(), id: newId() };
  if (!answer.rule) delete wanted.rule;
  if (await attempt(() => visit.api.post("/api/reminders", wanted), "It will be said")) list.refresh();
}

/** Change what is said and when; how it repeats, too. The time is that of this browser's clock. */
async function edit(item) {
  const rules = new Map(RULES);
  const rule = item.repeats?.rule ?? "";
  if (!rules.has(rule)) rules.set(rule, item.repeats.words);
  const answer = await askForm({
    title: "Change this reminder",
    yes: "Save",
    fields: [
      { name: "text", label: "What", value: item.text, maxlength: 1000 },
      { name: "due_at", label: "When", type: "datetime-local", value: localInput(item.due_at), required: true },
      { name: "rule", label: "How often", options: [...rules], value: rule },
    ],
    check: notOver,
  });
  if (!answer) return;
  const change = { text: answer.text, rule: answer.rule };
  if (answer.due_at !== localInput(item.due_at)) change.due_at = new Date(answer.due_at).toISOString();
  if (answer.rule === rule) delete change.rule;
  const changed = await attempt(() => visit.api.patch(`/api/reminders/${item.id}`, change), "Saved");
  if (changed) list.update(changed);
  list.refresh();
}

/** An instant as a field for local times has it. */
function localInput(at) {
  const date = new Date(at);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

async function cancel(item) {
  const text = `“${item.text || item.kind}”, ${due(item.due_at)}`;
  if (!(await confirmDeed({ title: "Cancel this reminder?", text, yes: "Cancel it" }))) return;
  const done = await attempt(() => visit.api.delete(`/api/reminders/${item.id}`), "Reminder cancelled");
  if (done) list.remove(item.id);
  else list.refresh();
}
