// Draws the log of one conversation: decides what stands where and keeps elements as long as their data stays.

import { approvalCard, open } from "./approvals.js";
import { byId, h, reconcile } from "./dom.js";
import { call, failed, Growing, pending, reply, toolRow } from "./messages.js";
import { day, sameDay } from "./times.js";

const AGENT = "Antiphon";

export class Log {
  #root = byId("log");
  #cache = new Map(); // key -> {mark, element}; an element is built anew when its mark changes
  #growing = new Map();
  #works = new Map();
  #actions;

  /** `actions`: {feedback, rated, decide, retryTask, retryNow, takeBack, signIn}. */
  constructor(actions) {
    this.#actions = actions;
  }

  /** Draw `messages` (sorted), `turns`, and the unsent `entries` of `name`. */
  draw({ messages, turns, entries, name }) {
    const used = new Set();
    const nodes = [];
    const put = (key, mark, build) => nodes.push(this.#element(used, key, mark, build));
    const lastOf = this.#lastMessages(messages);
    let before = null;

    for (const item of messages) {
      if (!before || !sameDay(before.at, item.at)) {
        const heading = day(item.at);
        put(`day:${item.at}`, heading, () => h("div", { class: "day" }, heading));
      }
      before = item;
      const turn = item.task ? turns.get(item.task) : undefined;
      const ends = turn && !turn.active && lastOf.get(turn.id) === item.key;
      if (ends && item.author === "agent") this.#work(used, nodes, turn);
      this.#message(put, item);
      if (ends && item.author !== "agent") this.#work(used, nodes, turn);
      if (ends && turn.failed) {
        put(`failed:${turn.id}`, `${turn.state}${turn.attempt}${turn.error?.message}`, () =>
          failed(turn, () => this.#actions.retryTask(turn)),
        );
      }
    }
    for (const entry of entries) {
      put(`entry:${entry.id}`, `${entry.error?.status}${entry.until}`, () => pending(entry, name, this.#actions));
    }
    for (const turn of turns.active) {
      this.#work(used, nodes, turn);
      if (turn.shown || turn.state !== "waiting") nodes.push(this.#grow(turn));
    }
    for (const key of this.#cache.keys()) if (!used.has(key)) this.#cache.delete(key);
    for (const id of this.#growing.keys()) if (!turns.get(id)?.active) this.#growing.delete(id);
    reconcile(this.#root, nodes);
  }

  /** Forget everything: another conversation comes. */
  clear() {
    this.#cache.clear();
    this.#growing.clear();
    this.#works.clear();
    this.#root.replaceChildren();
  }

  #element(used, key, mark, build) {
    used.add(key);
    let known = this.#cache.get(key);
    if (known?.mark !== mark) {
      known = { mark, element: build() };
      this.#cache.set(key, known);
    }
    return known.element;
  }

  #message(put, item) {
    const rated = this.#actions.rated(item);
    const mark = `${item.text}\n${item.interrupted}${rated}`;
    put(`message:${item.key}`, mark, () => (item.author === "agent" ? reply(item, this.#actions) : call(item)));
  }

  /** What the agent did for a task: its tool rows and the questions it asked. */
  #work(used, nodes, turn) {
    if (turn.rows.size + turn.approvals.size === 0) return;
    const parts = [];
    for (const row of turn.rows.values()) {
      const key = `row:${row.execution}`;
      parts.push(this.#element(used, key, JSON.stringify(row), () => toolRow(row)));
    }
    for (const approval of turn.approvals.values()) {
      const mark = `${approval.state}${open(approval)}${approval.deciding}`;
      const build = () => approvalCard(approval, this.#actions.decide);
      parts.push(this.#element(used, `approval:${approval.id}`, mark, build));
    }
    if (!this.#works.has(turn.id)) this.#works.set(turn.id, h("div", { class: "work", "data-task": turn.id }));
    const work = this.#works.get(turn.id);
    reconcile(work, parts);
    nodes.push(work);
  }

  #grow(turn) {
    if (!this.#growing.has(turn.id)) this.#growing.set(turn.id, new Growing(AGENT));
    const growing = this.#growing.get(turn.id);
    growing.update(turn.shown);
    return growing.element;
  }

  /** The last message of each task: what the task did stands before the agent's, or after the person's. */
  #lastMessages(messages) {
    const last = new Map();
    for (const item of messages) if (item.task) last.set(String(item.task), item.key);
    return last;
  }
}
