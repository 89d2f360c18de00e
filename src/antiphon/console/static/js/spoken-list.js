// The spoken sessions of the past, the newest first.

import { byId, h } from "./dom.js";
import { empty, List } from "./list.js";
import { start } from "./shell.js";
import { brief, exact } from "./times.js";
import { lasted, stateChip } from "./voice/past.js";

const when = (at) => h("time", { datetime: at, title: exact(at) }, brief(at));
const link = (session) => h("a", { href: `/voice/past/${encodeURIComponent(session.id)}` }, session.title || "Nothing was said");
const visit = await start({ onBack: () => list.refresh() });
let list;

if (visit) {
  list = new List(byId("list"), {
    api: visit.api,
    path: () => "/api/voice/sessions",
    caption: "Spoken sessions, the newest first",
    empty: () =>
      empty(
        "Nothing was spoken yet",
        "A conversation by voice leaves its transcript here.",
        h("a", { class: "btn primary", href: "/voice" }, "Start talking"),
      ),
    columns: [
      { label: "Session", kind: "text", cell: link },
      { label: "State", cell: stateChip },
      { label: "Room", kind: "hide-phone", cell: (session) => session.room },
      { label: "Lasted", kind: "n", cell: lasted },
      { label: "Recorded", kind: "hide-mid", cell: (session) => (session.recording ? "yes" : "no") },
      { label: "When", kind: "n", cell: (session) => when(session.started_at) },
    ],
  });
  list.reload();
}
