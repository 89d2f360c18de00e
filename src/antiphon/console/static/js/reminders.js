// Open reminders and timers, the next one first; they can be cancelled.

import { confirmDeed } from "./dialog.js";
import { button, byId, h, icon } from "./dom.js";
import { empty, List } from "./list.js";
import { attempt, start } from "./shell.js";
import { due, exact } from "./times.js";

const EVERY_MS = 15_000;
const visit = await start({ onBack: () => list.refresh() });
let list;

if (visit) {
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
      h("small", {}, h("time", { datetime: item.due_at, title: exact(item.due_at) }, due(item.due_at)), " · ", place(item)),
    ),
    button("cross", "", () => cancel(item), { kind: "quiet", label: `Cancel: ${item.text || item.kind}` }),
  );
}

function place(item) {
  return h("a", { href: `/history/${encodeURIComponent(item.channel)}` }, "where it was asked");
}

async function cancel(item) {
  const text = `“${item.text || item.kind}”, ${due(item.due_at)}`;
  if (!(await confirmDeed({ title: "Cancel this reminder?", text, yes: "Cancel it" }))) return;
  const done = await attempt(() => visit.api.delete(`/api/reminders/${item.id}`), "Reminder cancelled");
  if (done) list.remove(item.id);
  else list.refresh();
}
