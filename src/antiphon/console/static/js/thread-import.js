// Taking in the file of a thread that came from another system: picked by hand, taken whole or refused with the place.

import { ApiError } from "./api.js";
import { button, byId, errorCard, facts, h, icon } from "./dom.js";
import { sizeOf } from "./files.js";

const MOST_PLACES = 8;

/** Make the button of the page work; `onTaken` is called when a thread has come. */
export function listenForImports(api, onTaken) {
  const picker = byId("pick");
  byId("import").addEventListener("click", () => picker.click());
  byId("import").disabled = false;
  picker.addEventListener("change", async () => {
    const [file] = picker.files;
    picker.value = ""; // so that the same file can be picked again
    if (!file) return;
    byId("import").disabled = true;
    byId("imported").replaceChildren(waiting(file));
    try {
      byId("imported").replaceChildren(taken(await api.upload("/api/threads/import", file, "application/json")));
      onTaken();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      byId("imported").replaceChildren(refused(file, error));
    } finally {
      byId("import").disabled = false;
    }
  });
}

const putAway = () => button("cross", "Put away", () => byId("imported").replaceChildren());

function waiting(file) {
  const text = `Taking in ${file.name} (${sizeOf(file.size)})`;
  return h("section", { class: "card", role: "status" }, h("p", {}, text), h("progress", { "aria-label": text }));
}

function taken(thread) {
  const came = [
    ["Messages", thread.messages],
    ["Questions that wait", thread.approvals],
    ["Reminders", thread.reminders],
    ["Memories", thread.memories],
  ].filter(([, count]) => count);
  return h(
    "section",
    { class: "card", role: "status" },
    h("h2", { class: "row" }, icon("check"), thread.created ? "The thread is here" : "This thread was here already"),
    thread.created ? facts(came.map(([name, count]) => [name, String(count)])) : null,
    h(
      "div",
      { class: "row wrap" },
      h("a", { class: "btn primary", href: `/c/${encodeURIComponent(thread.channel)}` }, "Open the conversation"),
      h("a", { class: "btn", href: `/tasks?thread=${thread.thread}` }, "Its tasks"),
      putAway(),
    ),
  );
}

/** The server names the exact places; they are shown as they are. */
function refused(file, error) {
  const places = Object.entries(error.fields);
  const card = errorCard({
    title: `${file.name} was not taken in`,
    happened: error.message,
    kept: error.status === 0 ? "The file. Whether it arrived is not known; the same file twice makes one thread." : "Everything as it was; nothing of the file was taken.",
    now: error.passing ? "Try again in a moment." : null,
    actions: [putAway()],
  });
  card.setAttribute("role", "alert");
  const shown = places.slice(0, MOST_PLACES).map(([place, why]) => h("li", {}, h("code", {}, place), ` ${why}`));
  if (places.length > MOST_PLACES) shown.push(h("li", {}, `and ${places.length - MOST_PLACES} more`));
  if (shown.length) card.querySelector("dl").after(h("ul", { class: "plain small", "data-places": "" }, ...shown));
  return card;
}
