// The pane on the right: the thread and its task, open reminders, what the agent remembers. Read again after turns.

import { all, ApiError } from "./api.js";
import { confirmDeed } from "./dialog.js";
import { byId, h, icon, toast } from "./dom.js";
import { Order } from "./order.js";
import { clock, due, exact } from "./times.js";

const STATES = {
  queued: "waits for its turn",
  running: "running",
  waiting: "waits for you",
  done: "done",
  dead: "went wrong",
  cancelled: "stopped",
};
const SHOWN = 12;
const SOON_MS = 250;

export class About {
  #api;
  #timer = 0;
  #readings = { reminders: new Order(), memories: new Order() };

  constructor(api) {
    this.#api = api;
  }

  /** Draw the facts of the newest task of `conversation`. */
  thread(conversation) {
    const list = byId("thread-facts");
    const turn = conversation.turns.all.toSorted((a, b) => Number(a.id) - Number(b.id)).at(-1);
    const last = conversation.messages.at(-1);
    const pairs = [];
    if (turn) pairs.push(["Task", `#${turn.id}, ${STATES[turn.state] ?? turn.state}`]);
    if (turn?.usage?.model) pairs.push(["Model", turn.usage.model]);
    if (last) pairs.push(["Last word", clock(last.at)]);
    const minutes = Number(list.dataset.idleMinutes);
    pairs.push(["Closes", `after ${minutes.toLocaleString()} quiet ${minutes === 1 ? "minute" : "minutes"}`]);
    const mark = JSON.stringify(pairs);
    if (list.dataset.mark === mark) return;
    list.dataset.mark = mark;
    list.replaceChildren(...pairs.flatMap(([label, value]) => [h("dt", {}, label), h("dd", {}, value)]));
  }

  /** Read reminders and memories again, soon: several calls in a row read once. */
  refresh() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => Promise.all([this.#reminders(), this.#memories()]), SOON_MS);
  }

  async #reminders() {
    const items = await this.#read("reminders");
    if (!items) return;
    items.sort((a, b) => Date.parse(a.due_at) - Date.parse(b.due_at));
    this.#fill("reminders", items, "None. Say “remind me in ten minutes to stretch”.", (item) => {
      const at = item.due_at;
      return this.#row([h("time", { datetime: at, title: exact(at) }, due(at)), item.text || item.kind], {
        label: `Cancel the reminder ${item.text}`,
        path: `/api/reminders/${item.id}`,
        said: "Reminder cancelled",
        ask: { title: "Cancel this reminder?", text: `“${item.text}”, ${due(at)}`, yes: "Cancel it" },
      });
    });
  }

  async #memories() {
    const items = await this.#read("memories");
    if (!items) return;
    this.#fill("memories", items, "Nothing yet. Say “remember that …”.", (item) =>
      this.#row([item.text], {
        label: `Forget: ${item.text}`,
        path: `/api/memories/${item.id}`,
        said: "Forgotten",
        ask: { title: "Forget this?", text: `“${item.text}”`, yes: "Forget it" },
      }),
    );
  }

  async #read(what) {
    const isNews = this.#readings[what].ask();
    try {
      const items = await all(this.#api, `/api/${what}`, 2);
      return isNews() ? items : null;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return null; // what is shown stays
    }
  }

  #fill(id, items, none, build) {
    const rows = items.slice(0, SHOWN).map(build);
    if (items.length > SHOWN) rows.push(h("li", { class: "muted" }, `and ${items.length - SHOWN} more`));
    if (items.length === 0) rows.push(h("li", { class: "muted" }, none));
    byId(id).replaceChildren(...rows);
  }

  #row(content, { label, path, said, ask }) {
    const button = h(
      "button",
      { type: "button", class: "btn quiet icon", "aria-label": label, title: label },
      icon("cross"),
    );
    button.addEventListener("click", async () => {
      if (!(await confirmDeed(ask))) return;
      try {
        await this.#api.delete(path);
        toast(said);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        toast(error.message, "error");
      }
      this.refresh();
    });
    return h("li", {}, h("span", {}, ...content), button);
  }
}
