// Words and buttons for tasks, shared by the list of tasks and the page of one.

import { ApiError } from "./api.js";
import { button, h, icon, toast } from "./dom.js";
import { platformName } from "./said.js";
import { took } from "./times.js";

const STATES = {
  queued: ["", null, "queued"],
  running: ["agent", null, "running"],
  waiting: ["risk", "waiting", "waiting"],
  done: ["good", "check", "done"],
  dead: ["bad", "error", "dead"],
  cancelled: ["", "cross", "stopped"],
};
const OPEN = new Set(["queued", "running", "waiting"]);

export const isOpen = (task) => OPEN.has(task.state);
export const canRetry = (task) => task.state === "dead" || task.state === "cancelled" || Boolean(task.dead_reply);

/** The state as a chip; a done task whose answer never arrived says so. */
export function stateChip(task) {
  const [tone, name, word] = STATES[task.state] ?? ["", null, task.state];
  if (task.state === "done" && task.dead_reply) return h("span", { class: "chip bad" }, icon("error"), "not delivered");
  return h("span", { class: `chip ${tone}` }, name ? icon(name) : null, word);
}

/** What it is about, in one line. */
export const asked = (task) => task.asked || `Task ${task.id}, in somebody’s own conversation`;

export const placeOfTask = (task) => platformName(task.channel.split(":")[0]);

export function spent(task) {
  const { seconds, input_tokens: read = 0, output_tokens: written = 0 } = task.usage ?? {};
  const tokens = read + written;
  return { took: seconds === undefined ? "" : took(seconds), tokens: tokens ? tokens.toLocaleString() : "" };
}

/** The deeds that fit its state. `done(task)` gets the task as it is afterwards. */
export function deeds(api, task, done, { words = false } = {}) {
  const run = (verb, said) => async () => {
    try {
      done(await api.post(`/api/tasks/${task.id}/${verb}`));
      toast(said);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast(error.message, "error");
      const now = await api.get(`/api/tasks/${task.id}`).catch(() => null);
      if (now) done(now);
    }
  };
  const put = (name, word, onclick) =>
    button(name, words ? word : "", onclick, { kind: words ? "" : "quiet", label: `${word}: ${asked(task)}` });
  return [
    isOpen(task) ? put("stop", "Stop", run("cancel", "Stopped")) : null,
    canRetry(task) ? put("again", "Try again", run("retry", "Queued again")) : null,
  ].filter(Boolean);
}
