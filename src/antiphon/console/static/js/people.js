// Who is known, by which accounts, and the way to what they said. For operators.

import { withQuery } from "./api.js";
import { byId, h } from "./dom.js";
import { Filters } from "./filters.js";
import { empty, List } from "./list.js";
import { platformName } from "./said.js";
import { start } from "./shell.js";
import { brief, exact } from "./times.js";

const when = (at) => (at ? h("time", { datetime: at, title: exact(at) }, brief(at)) : "never");
const visit = await start({ onBack: () => list.refresh() });
let filters, list;

if (visit) {
  filters = new Filters(byId("filters"), () => list.reload());
  list = new List(byId("list"), {
    api: visit.api,
    path: () => withQuery("/api/people", filters.values),
    caption: "People, the newest first",
    empty: () =>
      filters.any
        ? empty("Nobody by that name", "No person and no account fits.")
        : empty("Nobody yet", "Whoever speaks to Antiphon stands here."),
    columns: [
      { label: "Person", kind: "text", cell: name },
      { label: "Accounts", cell: accounts },
      { label: "Time zone", kind: "hide-mid", cell: (person) => person.timezone },
      { label: "Messages", kind: "n", cell: messages },
      { label: "Last word", kind: "n", cell: (person) => when(person.last_at) },
    ],
  });
  list.reload();
}

function name(person) {
  return h("span", { class: "row wrap" }, person.name || `person ${person.id}`, person.role ? h("span", { class: "chip" }, person.role) : null);
}

function accounts(person) {
  if (!person.accounts.length) return h("span", { class: "muted" }, "none");
  const chip = ({ platform, name, id }) => h("span", { class: "chip", title: id }, `${platformName(platform)} ${name || id}`);
  return h("span", { class: "row wrap tight" }, ...person.accounts.map(chip));
}

function messages(person) {
  const count = person.messages.toLocaleString();
  if (!person.messages) return count;
  const link = withQuery("/history", { person: person.id, name: person.name });
  return h("a", { href: link, "aria-label": `${count} messages of ${person.name}` }, count);
}
