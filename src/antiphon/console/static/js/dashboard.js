// The dashboard: panels as the server draws them, live. Which rows of events and logs are shown is this viewer's choice.

import { ApiError, withQuery } from "./api.js";
import { byId, errorCard, h } from "./dom.js";
import { Feed } from "./feed.js";
import { PanelFrame, tick } from "./panels.js";
import { start } from "./shell.js";

const AGAIN_MS = 1000;
const ORDER = ["server", "messages", "events", "voice", "logs"];
const STATES = { live: ["good", "dot", "live"], lost: ["bad", "dot bad", "not connected"] };

const visit = await start({ onBack: () => feed?.hurry() });
const frames = new Map();
let feed = null;
let server = "";

if (visit) {
  server = new URLSearchParams(location.search).get("server") ?? "";
  byId("servers").addEventListener("change", ({ target }) => choose(target.value));
  setInterval(tick, 1000);
  say("lost");
  await read();
  listen();
}

/** Show another server. What is live is listened to once all of it was read: what was read is older. */
async function choose(id) {
  server = id;
  history.replaceState(null, "", location.pathname + (id ? `?server=${encodeURIComponent(id)}` : ""));
  feed?.close();
  await read();
  if (server === id) listen();
}

/** What there is to choose from, and every panel once. */
async function read() {
  const asked = server;
  try {
    const found = await visit.api.get(withQuery("/api/panels", { server }));
    if (asked !== server) return; // another one was chosen meanwhile
    byId("trouble").replaceChildren();
    drawServers(found);
    for (const panel of found.items) take(panel);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (asked !== server || error.status === 401) return;
    byId("trouble").replaceChildren(
      errorCard({ title: "The panels could not be read", happened: error.message, now: "They come by themselves when the server is back." }),
    );
  }
}

function listen() {
  feed?.close();
  feed = new Feed(withQuery("/api/panels/stream", { server }), "panel", {
    entries(panels) {
      byId("trouble").replaceChildren();
      for (const panel of panels) take(panel);
    },
    state: say,
    refused: () => visit.beat(),
  });
  feed.open();
}

/** A panel in its first view: drawn, or the sign to read again what this viewer chose to see. */
function take(panel) {
  let frame = frames.get(panel.name);
  if (!frame) {
    frame = new PanelFrame(panel.name, () => ask(frame, 0));
    frames.set(panel.name, frame);
    const place = ORDER.indexOf(panel.name);
    const after = ORDER.slice(place + 1).map((name) => frames.get(name)?.element).find((element) => element?.isConnected);
    byId("panels").insertBefore(frame.element, after ?? null);
  }
  if (frame.isChosen) ask(frame, AGAIN_MS);
  else frame.draw(panel);
  if (panel.name === "server") subtitle(panel);
}

/** Read a filtered panel, at most once in the time given. */
function ask(frame, wait) {
  if (wait && frame.timer) return;
  clearTimeout(frame.timer);
  frame.timer = setTimeout(async () => {
    frame.timer = 0;
    const turn = (frame.turn = (frame.turn ?? 0) + 1);
    const asked = server;
    try {
      const panel = await visit.api.get(withQuery(`/api/panels/${frame.name}`, { server, ...frame.view }));
      if (turn === frame.turn && asked === server) frame.draw(panel);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // it is asked again with the next change
    }
  }, wait);
}

function drawServers({ servers }) {
  const select = byId("servers");
  select.hidden = servers.length < 2;
  select.replaceChildren(
    h("option", { value: "" }, "Everywhere"),
    ...servers.map(({ id, name }) => h("option", { value: id }, name)),
  );
  select.value = server;
  if (servers.length === 1 && !server) server = servers[0].id;
}

function subtitle({ note, status }) {
  const where = note || byId("servers").selectedOptions[0]?.textContent || "";
  byId("subtitle").textContent =
    status === "connected"
      ? where && where !== "Everywhere" ? `${where} on Discord` : "Every server on Discord, the browser and the API"
      : "The browser and the API; Discord is not connected";
}

function say(state) {
  const [tone, dot, word] = STATES[state];
  byId("live").className = `chip ${tone}`;
  byId("live").replaceChildren(h("span", { class: dot }), word);
}
