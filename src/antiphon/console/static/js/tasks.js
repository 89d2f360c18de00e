// The list of tasks: what runs, what waits, what died and why, with stop and retry.

import { withQuery } from "./api.js";
import { byId, h } from "./dom.js";
import { Filters } from "./filters.js";
import { empty, List } from "./list.js";
import { start } from "./shell.js";
import { brief, exact } from "./times.js";
import { asked, deeds, isOpen, placeOfTask, spent, stateChip } from "./work.js";

const EVERY_MS = 4000;
const when = (at) => h("time", { datetime: at, title: exact(at) }, brief(at));
const visit = await start({ onBack: () => list.refresh() });
let filters, list;

if (visit) {
  filters = new Filters(byId("filters"), () => apply());
  list = new List(byId("list"), {
    api: visit.api,
    path: () => withQuery("/api/tasks", query()),
    pick: (task) => filters.values.show !== "open" || isOpen(task),
    caption: "Tasks, the newest first",
    empty: nothing,
    columns: [
      { label: "Task", kind: "text", cell: subject },
      { label: "State", cell: stateChip },
      { label: "Place", kind: "hide-mid", cell: placeOfTask },
      { label: "Asked by", kind: "hide-phone", cell: (task) => task.requester },
      { label: "Took", kind: "n hide-phone", cell: (task) => spent(task).took },
      { label: "Tokens", kind: "n hide-mid", cell: (task) => spent(task).tokens },
      { label: "When", kind: "n", cell: (task) => when(task.created_at) },
      { label: "Deeds", hidden: true, cell: (task) => h("span", { class: "row tight" }, ...deeds(visit.api, task, changed)) },
    ],
  });
  byId("clear").addEventListener("click", () => filters.clear());
  apply();
  setInterval(() => document.hidden || list.refresh(), EVERY_MS);
}

function apply() {
  byId("clear").hidden = !filters.any;
  list.reload();
}

function query() {
  const { show, ...rest } = filters.values;
  return { ...rest, dead: show === "dead" ? "1" : "" };
}

function changed(task) {
  list.update(task);
  list.refresh();
}

function subject(task) {
  const reason = task.error?.message ?? task.dead_reply;
  return [h("a", { href: `/tasks/${task.id}` }, asked(task)), reason ? h("small", {}, reason) : null].reduce(
    (cell, part) => {
      if (part) cell.append(part);
      return cell;
    },
    h("span"),
  );
}

function nothing() {
  const { show } = filters.values;
  if (show === "dead") return empty("No dead letters", "Everything that was asked got its answer, or is on its way.");
  if (show === "open") return empty("Nothing runs", "All is answered. What is being worked on stands here.");
  if (filters.any) return empty("No such task", "No task fits these filters.");
  const link = h("a", { class: "btn primary", href: "/" }, "Say something");
  return empty("No task yet", "Whatever you say to Antiphon becomes one, and stays until it is done.", link);
}
