// What is remembered about the person: to find, to look at and to forget; what it asks to remember, and
// what it learned from opinions.

import { button, byId, h, icon, toast } from "./dom.js";
import { Filters } from "./filters.js";
import { empty, List } from "./list.js";
import { Proposals } from "./proposals.js";
import { mark } from "./said.js";
import { attempt, start } from "./shell.js";
import { brief, exact } from "./times.js";

const wanted = () => (filters.values.q ?? "").toLowerCase().trim();
const visit = await start({ onBack: () => list.refresh() });
let filters, list, lessons;

if (visit) {
  filters = new Filters(byId("filters"), () => find());
  list = new List(byId("list"), {
    api: visit.api,
    path: () => "/api/memories?limit=100",
    kind: "keeping",
    order: (a, b) => Number(b.id) - Number(a.id),
    pick: (item) => item.text.toLowerCase().includes(wanted()),
    row,
    empty: nothing,
    onRead: () => find(),
  });
  lessons = new List(byId("lessons"), {
    api: visit.api,
    path: () => "/api/feedback",
    kind: "keeping",
    row: lesson,
    empty: () => h("p", { class: "muted small" }, "None yet. The thumbs under an answer keep your opinion of it."),
  });
  const proposals = new Proposals(visit.api, byId("proposals"), () => list.refresh());
  list.reload();
  lessons.reload();
  proposals.refresh();
}

/** Draw what fits; read on while nothing of what was read does. */
function find() {
  list.redraw();
  if (wanted() && list.items.length < 20) list.more();
}

function row(item) {
  return h(
    "li",
    {},
    h("span", { class: "muted" }, icon("book")),
    h(
      "span",
      { class: "grow" },
      ...mark(item.text, wanted()),
      h("small", {}, h("time", { datetime: item.created_at, title: exact(item.created_at) }, brief(item.created_at))),
    ),
    button("cross", "", () => forget(item), { kind: "quiet", label: `Forget: ${item.text}` }),
  );
}

function lesson(item) {
  const word = item.value > 0 ? "good" : "poor";
  return h(
    "li",
    {},
    h("span", { class: "muted" }, icon(word)),
    h(
      "span",
      { class: "grow" },
      item.text || item.answer,
      h("small", {}, `a ${word} answer to “${item.question}” · ${brief(item.created_at)}`),
    ),
    button("cross", "", () => takeBack(item), { kind: "quiet", label: `Take back the opinion of: ${item.answer}` }),
  );
}

async function takeBack(item) {
  if (await attempt(() => visit.api.delete(`/api/feedback/${item.id}`), "Taken back")) lessons.remove(item.id);
  else lessons.refresh();
}

async function forget(item) {
  const forgotten = await attempt(() => visit.api.delete(`/api/memories/${item.id}`));
  if (!forgotten) {
    list.refresh();
    return;
  }
  list.remove(item.id);
  const undo = async () => {
    const body = { undo: forgotten.undo };
    const restored = await attempt(() => visit.api.post("/api/memories/restore", body), "Remembered again");
    if (restored) list.add(restored);
  };
  toast("Forgotten", "check", { label: "Undo", run: undo });
}

function nothing() {
  if (wanted()) return empty("Nothing by that word", "No memory holds it. Memories are found by the words in them.");
  return empty(
    "Nothing is remembered yet",
    "Say “remember that my desk is by the window”, and it stands here.",
    h("a", { class: "btn primary", href: "/" }, "Say it now"),
  );
}
