// One conversation as it was: opened at a message (`?at=`) or at its end, read on in both directions.

import { ApiError, withQuery } from "./api.js";
import { button, byId, errorCard, h, icon } from "./dom.js";
import { downloadThread } from "./export.js";
import { empty } from "./list.js";
import { call, reply } from "./messages.js";
import { placeOf } from "./said.js";
import { start } from "./shell.js";
import { day, exact, sameDay } from "./times.js";

const visit = await start();
const channel = document.body.dataset.channel;
const items = new Map();
const ways = { older: null, newer: null };
let reading = false;

if (visit) {
  if (document.referrer.startsWith(`${location.origin}/history?`)) byId("back").href = document.referrer;
  await open();
}

async function open() {
  const at = new URLSearchParams(location.search).get("at");
  const path = at
    ? `/api/history/${encodeURIComponent(at)}`
    : withQuery("/api/history", { channel, limit: 50 });
  try {
    const page = await visit.api.get(path);
    take(page.items);
    ways.older = at ? page.older : page.next;
    ways.newer = at ? page.newer : null;
  } catch (error) {
    trouble(error, () => location.reload());
    return;
  }
  const [first] = items.values();
  if (!first || first.channel !== channel) {
    items.clear();
    byId("said").replaceChildren(empty("Nothing to read here", "This conversation has no words that you may read."));
    return;
  }
  head(first);
  draw();
  offerExport((at && items.get(Number(at))) || [...items.values()].at(-1));
  const element = at && document.getElementById(`m${at}`);
  if (element) {
    element.classList.add("here");
    element.scrollIntoView({ block: "center" });
    element.tabIndex = -1;
    element.focus({ preventScroll: true });
  } else byId("newer").scrollIntoView({ block: "end" });
}

async function read(way) {
  if (reading || !ways[way]) return;
  reading = true;
  const order = way === "newer" ? "oldest" : "";
  const body = document.querySelector(".body");
  const bottom = body.scrollHeight - body.scrollTop;
  try {
    const page = await visit.api.get(withQuery("/api/history", { channel, order, cursor: ways[way], limit: 50 }));
    take(page.items);
    ways[way] = page.next;
    draw();
    if (way === "older") body.scrollTop = body.scrollHeight - bottom; // what was read stays where it is
  } catch (error) {
    trouble(error, () => read(way), byId(way));
  } finally {
    reading = false;
  }
}

function take(found) {
  for (const item of found) items.set(Number(item.id), item);
}

function head(item) {
  byId("title").textContent = item.title || "Conversation";
  byId("subtitle").textContent = placeOf(item);
  document.title = `${item.title || "Conversation"} · History · Antiphon`;
  if (item.platform !== "web") return;
  byId("open").href = `/c/${encodeURIComponent(channel)}`;
  visit.api.get(`/api/channels/${encodeURIComponent(channel)}`).then(
    () => (byId("open").hidden = false),
    () => {}, // somebody else's: it can be read, not talked in
  );
}

/** The thread of one message as a file: only one's own, so it is looked for first. */
async function offerExport(item) {
  try {
    await visit.api.get(`/api/threads/${item.thread}`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return; // somebody else's: it can be read, not taken along
  }
  byId("export").hidden = false;
  byId("export").addEventListener("click", () => downloadThread(visit.api, item.thread));
}

function draw() {
  const nodes = [];
  let before = null;
  for (const item of [...items.values()].sort((a, b) => a.id - b.id)) {
    if (!before || !sameDay(before.at, item.at)) nodes.push(h("div", { class: "day" }, day(item.at)));
    before = item;
    nodes.push(element(item));
  }
  byId("said").replaceChildren(...nodes);
  for (const [way, word] of [
    ["older", "Earlier"],
    ["newer", "Later"],
  ])
    byId(way).replaceChildren(...(ways[way] ? [button("down", word, () => read(way), { kind: "quiet" })] : []));
}

function element(item) {
  const said = item.author === "agent" ? reply(item, {}) : call(item);
  said.id = `m${item.id}`;
  const time = said.querySelector("time");
  const link = h("a", { href: `${location.pathname}?at=${item.id}`, class: "here-link", title: exact(item.at) });
  time.replaceWith(link);
  link.append(time);
  if (item.files) {
    const words = `${item.files} ${item.files === 1 ? "file" : "files"}`;
    said.append(h("p", { class: "muted small row files-note" }, icon("clip"), words));
  }
  if (item.task) said.querySelector("header").append(h("a", { href: `/tasks/${item.task}` }, `task ${item.task}`));
  return said;
}

function trouble(error, again, place = byId("said")) {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401) return;
  place.replaceChildren(
    errorCard({
      title: error.status === 404 ? "This message is not there" : "It could not be read",
      happened: error.message,
      kept: "Everything that was said.",
      now: error.status === 404 ? "Look for it in the history." : "Try again in a moment.",
      actions: error.status === 404 ? [] : [button("again", "Try again", again)],
    }),
  );
}
