// One task: what was asked and answered, what the agent did for it, what it used, and why it failed.

import { ApiError } from "./api.js";
import { button, byId, errorCard, h } from "./dom.js";
import { call, reply, toolRow } from "./messages.js";
import { Order } from "./order.js";
import { provenance } from "./provenance.js";
import { start } from "./shell.js";
import { exact, took } from "./times.js";
import { asked, canRetry, deeds, isOpen, placeOfTask, spent, stateChip } from "./work.js";

const EVERY_MS = 2000;
const number = document.body.dataset.task;
const visit = await start({ onBack: () => read() });
const answers = new Order();
let task = null;

if (visit) {
  await read();
  setInterval(() => document.hidden || !task || !isOpen(task) || read(), EVERY_MS);
}

async function read() {
  const isNews = answers.ask();
  try {
    const now = await visit.api.get(`/api/tasks/${number}`);
    if (!isNews()) return;
    draw(now);
    await words();
    await turns();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status !== 401 && !task) trouble(error);
  }
}

function draw(now) {
  task = now;
  document.title = `${asked(task).slice(0, 60)} · Task ${task.id} · Antiphon`;
  byId("subtitle").textContent = asked(task);
  byId("panels").hidden = false;
  byId("deeds").replaceChildren(...deeds(visit.api, task, done, { words: true }));
  byId("state").replaceChildren(stateChip(task));
  const used = spent(task);
  const { model, requests, cost } = task.usage;
  facts(byId("facts"), [
    ["Asked by", task.requester],
    ["Place", placeOfTask(task)],
    ["Conversation", task.title || task.channel],
    ["Asked", exact(task.created_at)],
    ["Changed", exact(task.updated_at)],
    ["Attempts", String(task.attempt)],
    ["Model", model],
    ["Requests", requests ? String(requests) : ""],
    ["Tokens", used.tokens],
    ["Cost", cost ? cost.toFixed(4) : ""],
    ["Took", used.took],
    ["Thread", h("a", { href: `/tasks?thread=${task.thread}` }, `#${task.thread}`)],
  ]);
  byId("in-history").href = `/history/${encodeURIComponent(task.channel)}?at=${task.message}`;
  const tools = task.tools.map((row) => toolRow(row));
  byId("tools").replaceChildren(...tools);
  byId("tools-title").hidden = tools.length === 0;
  trouble(null);
}

/** What became of it by a deed: newer than whatever is being read. */
function done(now) {
  answers.ask()();
  draw(now);
}

/** The words of the task: its message and what was answered, as the history has them. */
async function words() {
  if (!task.asked) {
    byId("words").replaceChildren(h("p", { class: "muted" }, "It belongs to somebody’s own conversation."));
    return;
  }
  const page = await visit.api.get(`/api/history/${task.message}`).catch(() => ({ items: [] }));
  const mine = page.items.filter((item) => item.task === task.id || item.id === task.message);
  const nodes = mine.map((item) => (item.author === "agent" ? reply(item, {}) : call(item)));
  if (isOpen(task)) nodes.push(h("p", { class: "muted small" }, "The answer is being worked on."));
  byId("words").replaceChildren(...nodes);
}

/** Each run for the task: who answered, what it was given, what it used. */
async function turns() {
  const { items } = await visit.api.get(`/api/tasks/${number}/turns`);
  byId("turns").hidden = items.length === 0;
  const mark = JSON.stringify(items);
  if (byId("turns").dataset.mark === mark) return; // an open detail stays open
  byId("turns").dataset.mark = mark;
  byId("turn-list").replaceChildren(...items.map(turn));
}

function turn(item) {
  const list = h("dl", { class: "facts" });
  facts(list, [
    ["Ended", exact(item.ended_at)],
    ["Model", item.model],
    ["Requests", String(item.requests)],
    ["Tokens read", item.input_tokens.toLocaleString()],
    ["Tokens written", item.output_tokens.toLocaleString()],
    ["Tool calls", String(item.tool_calls)],
    ["Cost", item.cost ? item.cost.toFixed(4) : ""],
    ["Error", item.error],
  ]);
  const raw = h("pre", { tabindex: "0" }, JSON.stringify(item.trace, null, 2));
  const trace = Object.keys(item.trace).length ? h("details", { class: "raw" }, h("summary", {}, "All of it, as it is stored"), raw) : null;
  return h(
    "details",
    { class: "turn" },
    h(
      "summary",
      {},
      h("b", {}, `Attempt ${item.attempt}`),
      ` ${item.model || "no model"}, ${took(item.seconds)}, ${item.result}`,
    ),
    list,
    ...provenance(item.trace, task.channel),
    trace,
  );
}

function facts(list, pairs) {
  const shown = pairs.filter(([, value]) => value);
  list.replaceChildren(...shown.flatMap(([label, value]) => [h("dt", {}, label), h("dd", {}, value)]));
}

function trouble(error) {
  const place = byId("trouble");
  if (error) {
    const isGone = error.status === 404;
    place.replaceChildren(
      errorCard({
        title: isGone ? "There is no such task" : "The task could not be read",
        happened: isGone ? "It does not exist, or it is somebody else’s." : error.message,
        kept: "Everything; this only shows it.",
        actions: isGone ? [] : [button("again", "Try again", () => read())],
      }),
    );
    return;
  }
  const reason = task.error?.message ?? task.dead_reply;
  if (!reason || (task.state === "done" && !task.dead_reply)) {
    place.replaceChildren();
    return;
  }
  place.replaceChildren(
    errorCard({
      title: task.dead_reply ? "The answer could not be delivered" : title(task),
      happened: reason,
      kept: "The message, and everything before it.",
      now: canRetry(task) ? "Try it again, here or in the conversation." : "It is tried again by itself.",
    }),
  );
}

function title({ state, attempt }) {
  if (state === "cancelled") return "It was stopped";
  if (state === "dead") return attempt > 1 ? `It failed ${attempt} times` : "It failed";
  return "An attempt failed";
}
