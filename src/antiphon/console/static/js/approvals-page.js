// The inbox of questions: those that wait, with who may answer, and what was decided before.

import { approvalCard, expiry, open as needsAnswer, resultChip } from "./approvals.js";
import { byId, h } from "./dom.js";
import { empty, List } from "./list.js";
import { attempt, start } from "./shell.js";
import { brief, exact, left } from "./times.js";

const EVERY_MS = 5000;
const RANKS = { everyone: 0, member: 1, operator: 2, owner: 3 };

const when = (at) => h("time", { datetime: at, title: exact(at) }, brief(at));
const visit = await start({ onBack: () => refresh() });
const deciding = new Set();
let waiting, decided;

if (visit) {
  waiting = new List(byId("open"), {
    api: visit.api,
    path: () => "/api/approvals?state=pending",
    kind: "cards",
    row: (item) => h("li", {}, approvalCard({ ...item, deciding: deciding.has(item.id) }, decide, about(item))),
    pick: needsAnswer,
    empty: () => h("span"),
    onRead: (items) => count(items),
  });
  decided = new List(byId("decided"), {
    api: visit.api,
    path: () => "/api/approvals",
    caption: "Decided questions",
    pick: (item) => !needsAnswer(item),
    empty: () => empty("Nothing was decided yet", "Questions that were answered or ran out stand here."),
    columns: [
      { label: "What", kind: "text", cell: (item) => h("a", { href: `/tasks/${item.task}` }, item.summary) },
      { label: "Asked by", cell: (item) => item.requester_name },
      { label: "Decision", cell: (item) => resultChip(item) },
      { label: "By", kind: "hide-mid", cell: (item) => item.decided_by_name ?? "nobody" },
      { label: "When", kind: "n", cell: (item) => when(item.decided_at ?? item.expires) },
    ],
  });
  await Promise.all([waiting.reload(), decided.reload()]);
  document.getElementById(location.hash.slice(1))?.scrollIntoView({ block: "center" });
  setInterval(() => document.hidden || waiting.refresh(), EVERY_MS);
  setInterval(tick, 1000);
}

function about(item) {
  const { kind, permission } = item.approver;
  const isMine = item.requester === visit.me.id;
  const mayAnswer = kind === "requester" ? isMine : (RANKS[permission] ?? 9) <= (RANKS[visit.me.role] ?? 0);
  return {
    askedBy: isMine ? "you" : item.requester_name,
    who: kind === "requester" ? (isMine ? "you" : item.requester_name) : `anybody who is ${permission}`,
    mayAnswer,
    place: h("a", { href: `/tasks/${item.task}` }, `task ${item.task} in ${item.channel}`),
  };
}

async function decide(approval, verb) {
  deciding.add(approval.id);
  waiting.redraw();
  const said = verb === "approve" ? "Allowed, once" : "Refused";
  const answer = await attempt(() => visit.api.post(`/api/approvals/${approval.id}/${verb}`), said);
  deciding.delete(approval.id);
  if (answer) waiting.remove(approval.id);
  else waiting.redraw();
  refresh();
}

async function refresh() {
  await Promise.all([waiting.refresh(), decided.refresh()]);
  visit.beat();
}

function count(items) {
  const mine = items.filter((item) => about(item).mayAnswer).length;
  const others = items.length - mine;
  const wait = (number, whom) => `${number} ${number === 1 ? "waits" : "wait"} for ${whom}`;
  byId("subtitle").textContent =
    [mine && wait(mine, "you"), others && wait(others, "someone else")].filter(Boolean).join(", ") ||
    "Nothing waits for an answer";
  byId("nobody").hidden = items.length > 0;
}

/** Once a second: what is left, and a question that just ran out moves down. */
function tick() {
  let over = false;
  for (const element of document.querySelectorAll("[data-expires]")) {
    element.textContent = expiry(element.dataset.expires);
    over ||= left(element.dataset.expires) === null;
  }
  if (!over) return;
  waiting.redraw();
  count(waiting.items);
  decided.refresh();
}
