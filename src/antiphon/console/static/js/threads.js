// The list of task threads, with the way to what was said in them, closing by hand, and moving them as files.

import { withQuery } from "./api.js";
import { button, byId, h } from "./dom.js";
import { downloadThread } from "./export.js";
import { Filters } from "./filters.js";
import { empty, List } from "./list.js";
import { platformName } from "./said.js";
import { attempt, start } from "./shell.js";
import { listenForImports } from "./thread-import.js";
import { brief, exact } from "./times.js";

const title = (thread) => thread.title || `Thread ${thread.id}`;
const when = (at) => h("time", { datetime: at, title: exact(at) }, brief(at));
const chip = ({ state }) => h("span", { class: `chip ${state === "active" ? "agent" : ""}` }, state === "active" ? "open" : "closed");
const visit = await start({ onBack: () => list.refresh() });
let filters, list;

if (visit) {
  filters = new Filters(byId("filters"), () => list.reload());
  list = new List(byId("list"), {
    api: visit.api,
    path: () => withQuery("/api/threads", {}),
    pick: (thread) => !filters.values.state || thread.state === filters.values.state,
    caption: "Threads, the newest first",
    empty: nothing,
    columns: [
      { label: "Thread", kind: "text", cell: (thread) => h("a", { href: `/tasks?thread=${thread.id}` }, title(thread)) },
      { label: "State", cell: chip },
      { label: "Place", cell: (thread) => platformName(thread.channel.split(":")[0]) },
      { label: "Opened", kind: "n hide-phone", cell: (thread) => when(thread.opened_at) },
      { label: "Last word", kind: "n", cell: (thread) => when(thread.last_at) },
      { label: "Deeds", hidden: true, cell: deeds },
    ],
  });
  list.reload();
  listenForImports(visit.api, () => list.reload());
}

function deeds(thread) {
  const out = button("download", "", () => downloadThread(visit.api, thread.id), { kind: "quiet", label: `Export the thread: ${title(thread)}` });
  if (thread.state !== "active") return out;
  const close = async () => {
    const closed = await attempt(() => visit.api.post(`/api/threads/${thread.id}/close`), "Thread closed");
    if (closed) list.update(closed);
  };
  const end = button("check", "", close, { kind: "quiet", label: `Close the thread: ${title(thread)}` });
  return h("span", { class: "row tight push" }, out, end);
}

function nothing() {
  if (filters.values.state) return empty("No thread is open", "The next thing you say opens one.");
  return empty("No thread yet", "What you say next to each other belongs to one thread.");
}
