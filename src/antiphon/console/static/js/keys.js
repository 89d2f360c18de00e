// API keys: made with a name and what they may do, shown once, revoked at once.

import { askForm, confirmDeed } from "./dialog.js";
import { button, byId, h } from "./dom.js";
import { empty, List } from "./list.js";
import { attempt, start } from "./shell.js";
import { showOnce } from "./shown-once.js";
import { brief, exact } from "./times.js";

const KINDS = [
  ["chat", "Talk: conversations, tasks, approvals, reminders"],
  ["chat,admin", "Everything you may do, keys and settings too"],
  ["metrics", "Figures for Prometheus only"],
];
const visit = await start({ onBack: () => list.refresh() });
let list;

if (visit) {
  list = new List(byId("list"), {
    api: visit.api,
    path: () => "/api/keys",
    order: (a, b) => Boolean(a.revoked_at) - Boolean(b.revoked_at) || Number(b.id) - Number(a.id),
    caption: "Keys, the newest first",
    empty: () => empty("No keys yet", "A program that talks to Antiphon needs one: Authorization: Bearer ant_…"),
    columns: [
      { label: "Key", kind: "text", cell: name },
      { label: "May", cell: (key) => h("span", { class: "row wrap tight" }, ...key.scopes.map((scope) => h("span", { class: "chip" }, scope))) },
      { label: "Made", kind: "n hide-mid", cell: (key) => when(key.created_at) },
      { label: "Last used", kind: "n", cell: (key) => when(key.last_used_at) },
      { label: "", kind: "n", cell: (key) => (key.revoked_at ? "" : button("cross", "", () => revoke(key), { label: `Revoke ${key.name}` })) },
    ],
  });
  list.reload();
  byId("make").addEventListener("click", make);
  byId("make").disabled = false; // a click before this would go unheard
}

const when = (at) => (at ? h("time", { datetime: at, title: exact(at) }, brief(at)) : "never");

function name(key) {
  const out = key.revoked_at ? h("span", { class: "chip bad" }, "revoked") : null;
  return h("span", {}, h("span", { class: "row wrap" }, key.name, out), h("small", { class: "mono" }, `${key.hint}…`));
}

async function make() {
  const answer = await askForm({
    title: "A new key",
    text: "For yourself: whoever holds it acts as you.",
    yes: "Make it",
    fields: [
      { name: "name", label: "What it is for", required: true, maxlength: 100 },
      { name: "scopes", label: "It may", options: KINDS, value: "chat" },
    ],
  });
  if (!answer) return;
  const made = await attempt(() => visit.api.post("/api/keys", { name: answer.name, scopes: answer.scopes.split(",") }));
  if (!made) return;
  await list.reload();
  showOnce(byId("shown-once"), {
    title: `The key ${made.name}`,
    text: "Keep it now. It cannot be shown again; if it is lost, revoke it and make another.",
    secret: made.key,
  });
}

async function revoke(key) {
  const text = "Whatever uses it is refused from now on. This cannot be taken back.";
  if (!(await confirmDeed({ title: `Revoke ${key.name}?`, text, yes: "Revoke it" }))) return;
  const revoked = await attempt(() => visit.api.delete(`/api/keys/${key.id}`), "Revoked");
  if (revoked) list.update(revoked);
  else list.refresh();
}
