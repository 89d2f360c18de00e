// How the program is: each part in words, with what to do where something is off, and what the agent is doing now.

import { ApiError } from "./api.js";
import { byId, errorCard, h, icon } from "./dom.js";
import { microphoneNotice } from "./microphone.js";
import { Order } from "./order.js";
import { showPresence } from "./presence.js";
import { start } from "./shell.js";
import { clockWithSeconds, left } from "./times.js";

const EVERY_MS = 5000;
const STATES = {
  ok: ["good", "check", "works"],
  degraded: ["bad", "error", "in trouble"],
  off: ["", "pause", "off"],
};
const CARDS = new Set(["model", "discord", "telegram", "livekit"]);
const readings = new Order();
const visit = await start({ onBack: () => read() });

if (visit) {
  const noMicrophone = microphoneNotice();
  if (noMicrophone) byId("parts").before(noMicrophone);
  await read();
  setInterval(() => document.hidden || read(), EVERY_MS);
}

async function read() {
  const isNews = readings.ask();
  try {
    const health = await visit.api.get("/api/health");
    if (!isNews()) return;
    draw(health);
    await presence(health);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (!isNews() || error.status === 401) return;
    showPresence("error", error.message);
    if (byId("parts").childElementCount === 0)
      byId("trouble").replaceChildren(
        errorCard({ title: "The state could not be read", happened: error.message, now: "It is asked again by itself." }),
      );
  }
}

function draw({ parts }) {
  const off = parts.filter((part) => part.state === "degraded").length;
  byId("subtitle").textContent =
    off === 0 ? "Everything that is switched on works" : `${off} ${off === 1 ? "part is" : "parts are"} in trouble`;
  byId("checked").textContent = `asked at ${clockWithSeconds(Date.now())}`;
  byId("trouble").replaceChildren();
  byId("parts").replaceChildren(...parts.map(part));
}

function part({ name, state, detail, remedy }) {
  const [tone, iconName, word] = STATES[state] ?? ["", "error", state];
  return h(
    "li",
    { "data-state": state },
    h("div", { class: "row" }, h("b", {}, name.replaceAll("_", " ")), h("span", { class: `chip ${tone}` }, icon(iconName), word)),
    detail ? h("p", { class: "small" }, detail) : null,
    remedy ? h("p", { class: "small muted" }, h("b", {}, state === "ok" ? "Good to know: " : "What to do: "), remedy, ...setUp(name, state)) : null,
  );
}

/** The page on which an operator puts a part right without leaving the browser. */
function setUp(name, state) {
  const card = name.split(" ")[0];
  if (state === "ok" || !visit.isOperator || !CARDS.has(card)) return [];
  return [", or ", h("a", { href: `/setup#${card}` }, "set it up here")];
}

/** What the agent does for the person who looks (an operator: for everybody). */
async function presence({ status }) {
  const everybody = visit.isOperator ? "&everybody=1" : "";
  const [running, queued, open] = await Promise.all([
    visit.api.get(`/api/tasks?state=running&limit=20${everybody}`),
    visit.api.get(`/api/tasks?state=queued&limit=20${everybody}`),
    visit.api.get("/api/approvals?state=pending"),
  ]);
  const waiting = open.items.filter((item) => left(item.expires)).length;
  const count = (items, word) => `${items.length}${items.length === 20 ? " or more" : ""} ${word}`;
  if (status !== "ok") showPresence("error", "A part is in trouble; see beside.");
  else if (running.items.length) showPresence("thinking", `${count(running.items, "being answered")}`);
  else if (waiting) showPresence("waiting", `${waiting} ${waiting === 1 ? "question waits" : "questions wait"} for an answer`);
  else if (queued.items.length) showPresence("listening", `${count(queued.items, "about to be answered")}`);
  else showPresence("idle", "Nothing is asked at the moment");
}
