// The demo: a simulated Discord server whose people one plays, and the panels that change by it.

import { ApiError, withQuery } from "./api.js";
import { askForm } from "./dialog.js";
import { button, byId, h, icon, reconcile, toast } from "./dom.js";
import { Feed } from "./feed.js";
import { said } from "./demo-message.js";
import { PanelFrame, tick } from "./panels.js";
import { start } from "./shell.js";

const BESIDE = ["messages", "events", "voice"];
const KINDS = { text: "chat", thread: "chat", forum: "book", voice: "speaking" };
const STATES = { live: ["good", "dot", "live"], lost: ["bad", "dot bad", "not connected"] };

const visit = await start({ onBack: () => feed?.hurry() });
const frames = new Map();
const drawn = new Map(); // message id -> {mark, element}
const speaking = new Set(); // those who are played as speaking
let feed = null;
let scene = null;
let channel = "";
let person = "";

if (visit) {
  channel = new URLSearchParams(location.search).get("channel") ?? "";
  person = visit.keep.get("demo-person", "");
  byId("words").addEventListener("submit", (event) => {
    event.preventDefault();
    say();
  });
  setInterval(tick, 1000);
  listen();
  new Feed("/api/panels/stream", "panel", {
    entries: (panels) => panels.forEach(panel),
    state: () => {},
    refused: () => {},
  }).open();
}

function listen() {
  feed?.close();
  feed = new Feed(withQuery("/api/demo/stream", { channel }), "scene", {
    entries(scenes) {
      scene = scenes.at(-1);
      draw();
    },
    state(now) {
      const [tone, dot, word] = STATES[now];
      byId("live").className = `chip ${tone}`;
      byId("live").replaceChildren(h("span", { class: dot }), word);
    },
    refused: () => visit.beat(),
  });
  feed.open();
}

function panel(one) {
  if (!BESIDE.includes(one.name)) return;
  if (!frames.has(one.name)) {
    const frame = new PanelFrame(one.name, () => {});
    frames.set(one.name, frame);
    reconcile(byId("panels"), BESIDE.flatMap((name) => frames.get(name)?.element ?? []));
  }
  frames.get(one.name).draw({ ...one, rows: one.rows.slice(0, 6), filters: [], pages: 1 });
}

function draw() {
  channel = scene.channel.id;
  if (!scene.people.some(({ id }) => id === person)) person = scene.people[0].id;
  byId("subtitle").textContent =
    `${scene.server.name}, a Discord server that is only simulated: you play its people` +
    (scene.bot.connected ? "" : `. ${scene.bot.name} is on its way`);
  drawChannels(scene);
  drawPeople(scene);
  drawMessages(scene);
  const names = scene.commands.map(({ name }) => `/${name}`).join(", ");
  byId("hint").textContent = `Begin with @${scene.bot.name}` + (names ? `, or use ${names}.` : ".");
}

function drawChannels({ channels, people }) {
  const me = people.find(({ id }) => id === person);
  const rows = channels.map((one) => {
    const isVoice = one.kind === "voice";
    const inside = isVoice && me.voice === one.name;
    if (!inside && isVoice) speaking.delete(person);
    const label = isVoice ? `${one.name}: ${inside ? "leave" : "enter"}` : one.name;
    const act = () => (isVoice ? move(inside ? "" : one.id) : choose(one.id));
    const shown = h(
      "button",
      { type: "button", class: "btn quiet", onclick: act, "aria-current": one.id === channel && !isVoice ? "true" : null },
      icon(KINDS[one.kind] ?? "chat"),
      label,
    );
    const aloud = speaking.has(person);
    const word = aloud ? "Be silent" : "Speak";
    const speak = inside ? button("speaking", word, () => move(one.id, !aloud), { kind: "quiet", "aria-pressed": String(aloud) }) : null;
    return h("li", {}, shown, speak, one.inside.length ? h("small", {}, one.inside.join(", ")) : null);
  });
  const had = byId("channels").contains(document.activeElement) ? document.activeElement.textContent : null;
  byId("channels").replaceChildren(h("ul", { class: "plain" }, ...rows), button("plus", "Somebody new", invite, { kind: "quiet" }));
  if (had) [...byId("channels").querySelectorAll("button")].find((one) => one.textContent === had)?.focus();
}

function drawPeople({ people }) {
  const mark = JSON.stringify([people.map(({ id, name }) => [id, name]), person]);
  if (byId("people").dataset.mark === mark) return;
  byId("people").dataset.mark = mark;
  byId("people").replaceChildren(
    ...people.map(({ id, name }) =>
      h("label", {}, h("input", { type: "radio", name: "person", value: id, checked: id === person, onchange: () => play(id) }), h("span", {}, name)),
    ),
  );
}

function drawMessages({ channel: { name, messages } }) {
  byId("channel").textContent = name;
  const list = byId("log");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const nodes = messages.map((one) => {
    const mark = JSON.stringify(one);
    if (drawn.get(one.id)?.mark !== mark) drawn.set(one.id, { mark, element: said(one, press) });
    return drawn.get(one.id).element;
  });
  reconcile(byId("messages"), nodes.length ? nodes : [h("li", { class: "none" }, h("span", { class: "saying muted" }, "Nothing was said here yet."))]);
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function choose(id) {
  channel = id;
  drawn.clear();
  history.replaceState(null, "", `?channel=${id}`);
  listen();
}

function play(id) {
  person = id;
  visit.keep.set("demo-person", id);
  byId("text").focus();
}

async function say() {
  const text = byId("text").value;
  if (!text.trim()) return;
  byId("text").value = "";
  if (await act("say", { person, channel, text })) return;
  byId("text").value = [text, byId("text").value].filter(Boolean).join(" "); // before what was typed meanwhile
}

async function move(to, aloud = false) {
  if (aloud) speaking.add(person);
  else speaking.delete(person);
  await act("voice", { person, channel: to, speaking: aloud });
  if (scene) drawChannels(scene);
}

async function press(message, id) {
  const answer = await act("press", { person, message, button: id });
  if (!answer?.form) return;
  const { title, fields } = answer.form;
  const controls = fields.map(({ id, label, value }) => ({ name: id, label, value }));
  const values = await askForm({ title, yes: "Send", fields: controls });
  if (values) await act("form", { person, values });
}

async function invite() {
  const values = await askForm({
    title: "Who joins?",
    yes: "Join",
    fields: [{ name: "name", label: "Name", required: true, maxlength: 32, hint: "letters and digits" }],
  });
  if (values) await act("people", { name: values.name });
}

async function act(what, body) {
  try {
    return (await visit.api.post(`/api/demo/${what}`, body)) ?? true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(error.message, "error");
    return null;
  }
}
