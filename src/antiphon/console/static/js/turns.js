// What is known of the tasks of one conversation, kept from turn events and from the rows of /api/tasks.
// Pure bookkeeping: nothing here touches the page or the network.

import { newer } from "./approvals.js";

const FINAL = new Set(["done", "dead", "cancelled"]);
/** Within one attempt a task only moves this way; a row that says less was read before the event. */
const ORDER = ["queued", "running", "waiting", ...FINAL];

/** One task as the page sees it. `text` is the answer while it grows; `rows` are tool executions by id. */
class Turn {
  state = "queued";
  attempt = 0;
  began = 0; // the attempt whose text was heard from its first word
  text = "";
  rows = new Map();
  approvals = new Map();
  error = null;
  message = null;
  usage = {};
  stopping = false;

  constructor(id) {
    this.id = id;
  }

  get active() {
    return !FINAL.has(this.state);
  }
  /** The answer so far; nothing while only a piece from its middle is known. */
  get shown() {
    return this.began === this.attempt ? this.text : "";
  }
  /** Whether it ended without doing what was asked, so that a person may want it tried again. */
  get failed() {
    return this.state === "dead" || this.state === "cancelled";
  }
}

export class Turns {
  #turns = new Map();

  get all() {
    return [...this.#turns.values()];
  }
  /** Tasks that still move, oldest first. */
  get active() {
    return this.all.filter((turn) => turn.active).sort((a, b) => Number(a.id) - Number(b.id));
  }
  get(task) {
    return this.#turns.get(String(task));
  }
  has(task) {
    return this.#turns.has(String(task));
  }

  open(task) {
    const id = String(task);
    if (!this.#turns.has(id)) this.#turns.set(id, new Turn(id));
    return this.#turns.get(id);
  }

  /** Take in an event. Returns its turn, or null when it belongs to an attempt that is over. */
  event(name, data) {
    const turn = this.open(data.task);
    const attempt = data.attempt ?? turn.attempt;
    if (attempt < turn.attempt && name !== "reply") return null;
    const isHigher = attempt > turn.attempt;
    if (isHigher) {
      turn.attempt = attempt;
      turn.text = ""; // a higher attempt starts again: what an earlier one had said so far does not count
    }
    switch (name) {
      case "turn.started":
        if (!turn.active && !isHigher) break; // heard after its row said what became of this attempt
        turn.state = "running";
        turn.began = turn.attempt;
        turn.error = null;
        break;
      case "text.delta":
        if (!turn.active && !isHigher) break;
        turn.state = "running";
        turn.text += data.text ?? "";
        break;
      case "tool.started":
      case "tool.finished":
        turn.rows.set(String(data.execution), { ...turn.rows.get(String(data.execution)), ...data });
        break;
      case "approval.needed":
        this.approval(turn, { state: "pending", ...data, id: data.approval });
        turn.state = "waiting";
        break;
      case "reply":
        turn.text = "";
        if (turn.state !== "waiting" && !turn.failed) turn.state = turn.stopping ? "cancelled" : "done";
        break;
      case "turn.failed":
        turn.text = "";
        turn.error = { code: data.code, message: data.message };
        if (!data.retrying) turn.state = data.code === "cancelled" ? "cancelled" : "dead";
        break;
    }
    return turn;
  }

  /** Take in a row of /api/tasks: the truth, as far as it is not older than what the events already said. */
  row(item) {
    const turn = this.open(item.id);
    if (item.attempt < turn.attempt && !FINAL.has(item.state)) return turn;
    if (item.attempt === turn.attempt && ORDER.indexOf(item.state) < ORDER.indexOf(turn.state)) return turn;
    turn.attempt = item.attempt;
    turn.state = item.state;
    turn.error = item.error;
    turn.message = item.message;
    turn.usage = item.usage ?? {};
    if (!turn.active) turn.text = "";
    for (const row of item.tools ?? []) {
      const id = String(row.execution ?? row.id);
      turn.rows.set(id, { ...turn.rows.get(id), ...row, execution: id });
    }
    return turn;
  }

  /** Take in an approval, from an event or from /api/approvals. */
  approval(turn, approval) {
    const id = String(approval.id);
    turn.approvals.set(id, newer(turn.approvals.get(id), { ...approval, id }));
    return turn.approvals.get(id);
  }
}
