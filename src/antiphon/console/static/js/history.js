// The history: search and filters over everything said. Each result leads to its place in the conversation.

import { all, withQuery } from "./api.js";
import { button, byId, h } from "./dom.js";
import { Filters } from "./filters.js";
import { empty, List } from "./list.js";
import { attempt, initials, start } from "./shell.js";
import { brief, exact } from "./times.js";
import { excerpt, placeOf, transcriptLink } from "./said.js";

const clearButton = () => button("cross", "Clear the filters", () => filters.clear());
const chatLink = () => h("a", { class: "btn primary", href: "/" }, "Say something");
const visit = await start({ onBack: () => list?.refresh() });
const form = byId("filters");
let filters, list;

if (visit) {
  await fillChannels();
  filters = new Filters(form, () => apply());
  list = new List(byId("list"), {
    api: visit.api,
    path: () => withQuery("/api/history", query()),
    kind: "results",
    row,
    empty: nothing,
    onRead: (items, more) => (byId("found").textContent = `${items.length}${more ? " or more" : ""} found`),
  });
  byId("clear").addEventListener("click", () => filters.clear());
  apply();
}

function apply() {
  byId("clear").hidden = !filters.any;
  chips();
  list.reload();
}

/** The filters as the API wants them: days become the instants at which they begin and end here. */
function query() {
  const { from, to, ...rest } = filters.values;
  const day = (text, plus) => {
    const [year, month, date] = text.split("-").map(Number);
    return new Date(year, month - 1, date + plus).toISOString();
  };
  return { ...rest, from: from && day(from, 0), to: to && day(to, 1) };
}

function row(item) {
  const { q } = filters.values;
  const isAgent = item.author === "agent";
  return h(
    "li",
    {},
    h(
      "a",
      { href: transcriptLink(item), class: "result" },
      h("span", { class: isAgent ? "who agent" : "who", "aria-hidden": "true" }, isAgent ? "A" : initials(item.name)),
      h(
        "span",
        { class: "what" },
        h("span", { class: "row" }, h("b", {}, item.name), h("span", { class: "muted cut" }, placeOf(item))),
        h("span", { class: "text" }, ...excerpt(item, q)),
      ),
      h("time", { datetime: item.at, title: exact(item.at) }, brief(item.at)),
    ),
  );
}

function nothing() {
  if (filters.any)
    return empty("Nothing was found", "Try fewer or other words, another day, or every conversation.", clearButton());
  return empty("Nothing was said yet", "What you and Antiphon say stands here, and can be found again.", chatLink());
}

async function fillChannels() {
  const channels = await attempt(() => all(visit.api, "/api/channels", 4));
  const asked = new URLSearchParams(location.search).get("channel");
  const known = Array.isArray(channels) ? channels : [];
  const options = known.map((one) => h("option", { value: one.key }, (one.title || one.preview || one.key).slice(0, 60)));
  if (asked && !known.some((one) => one.key === asked)) options.push(h("option", { value: asked }, asked));
  form.elements.channel.append(...options);
}

/** A filter that has no control of its own: the person, set by a link from the people's page. */
async function chips() {
  const { person } = filters.values;
  if (!person) {
    byId("chips").replaceChildren();
    return;
  }
  const name = new URLSearchParams(location.search).get("name") || `person ${person}`;
  const chip = h("span", { class: "chip" }, `said by ${name}`);
  const off = button("cross", "", () => filters.set("person", ""), { kind: "quiet", label: "Show everybody" });
  byId("chips").replaceChildren(chip, off);
}
