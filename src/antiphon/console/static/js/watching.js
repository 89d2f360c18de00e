// A page that watches a live stream: newest first, filtered, searched, paused and cleared for this viewer alone.

import { button, byId, h, icon } from "./dom.js";
import { Feed } from "./feed.js";
import { Filters } from "./filters.js";
import { empty } from "./list.js";
import { start } from "./shell.js";

const KEPT = 2000;
const SHOWN = 400;
const STATES = { live: ["dot", "live"], lost: ["dot bad", "not connected, trying again"], paused: ["dot off", "paused"] };

/**
 * `path` and `name` of the stream; `row(entry, words)` draws one entry; `pick(entry, values)` says whether the filters
 * let it through; `none`: [title, text] for the empty page. The page has #filters, #pause, #clear, #live, #list.
 */
export async function watch({ path, name, row, pick, none }) {
  const visit = await start({ onBack: () => feed.hurry() });
  if (!visit) return;
  let kept = []; // newest first
  let held = []; // what came while paused
  let paused = false;
  let state = "lost";
  let shown = SHOWN;
  let clearedAt = visit.keep.get(`cleared:${path}`, "");
  const filters = new Filters(byId("filters"), () => {
    shown = SHOWN;
    draw();
  });
  const feed = new Feed(path, name, {
    entries(list) {
      const fresh = list.filter((entry) => entry.at > clearedAt);
      if (paused) held = [...fresh.reverse(), ...held].slice(0, KEPT);
      else kept = [...fresh.reverse(), ...kept].slice(0, KEPT);
      draw();
    },
    state(now) {
      state = now;
      draw();
    },
    refused: () => visit.beat(), // signed out, or the server is away: that is said by the frame
  });

  function draw() {
    const { q = "", ...values } = filters.values;
    const words = q.trim().toLowerCase();
    const found = kept.filter(
      (entry) => pick(entry, values) && (!words || JSON.stringify(entry).toLowerCase().includes(words)),
    );
    const rows = found.slice(0, shown).map((entry) => (entry.element ??= row(entry, "")));
    byId("list").replaceChildren(...rows.map((one, index) => (words ? row(found[index], words) : one)));
    byId("nothing").replaceChildren(
      ...(found.length ? [] : [empty(...(kept.length ? ["Nothing fits", "No entry fits these filters."] : none))]),
    );
    byId("rest").replaceChildren(...(found.length > shown ? [more()] : []));
    const [dot, word] = STATES[paused ? "paused" : state];
    byId("live").replaceChildren(h("span", { class: dot }), word + (paused && held.length ? `, ${held.length} new` : ""));
    byId("count").textContent = `${found.length.toLocaleString()} of ${kept.length.toLocaleString()}`;
  }

  function more() {
    return button("down", "More", () => {
      shown += SHOWN;
      draw();
    }, { kind: "quiet" });
  }

  byId("pause").addEventListener("click", () => {
    paused = !paused;
    if (!paused) {
      kept = [...held, ...kept].slice(0, KEPT);
      held = [];
    }
    byId("pause").setAttribute("aria-pressed", String(paused));
    byId("pause").replaceChildren(icon(paused ? "play" : "pause"), paused ? "Go on" : "Pause");
    draw();
  });
  byId("clear").addEventListener("click", () => {
    const newest = [...held, ...kept][0];
    clearedAt = newest?.at ?? clearedAt;
    visit.keep.set(`cleared:${path}`, clearedAt);
    kept = [];
    held = [];
    draw();
  });
  draw();
  feed.open();
}
