// A list that is read page by page: loading, empty, trouble, more, and rows that keep their elements (and the focus in
// them) while their data stays the same. Every page with a list uses this one.

import { ApiError, withQuery } from "./api.js";
import { button, errorCard, h, reconcile } from "./dom.js";

const SLOW_AFTER_MS = 300;
const PAGE = 50;
const AHEAD_PX = 600;
const MOST_ROWS = 500; // in the page at once: beyond them one leafs on, and the page stays quick

export class List {
  #api;
  #options;
  #root;
  #body;
  #foot = h("div", { class: "list-foot" });
  #state = h("div", { class: "list-state" });
  #items = new Map();
  #elements = new Map();
  #next = null;
  #from = ""; // where what is shown begins: the cursor one has leafed to
  #reading = null; // the question that is not answered yet
  #turn = 0; // answers to older questions are dropped
  #isOlder = false; // what is being read was put right here meanwhile: its answer would undo that
  #readAgain = false;
  #isQuiet = false; // what is being read was not asked for by the person
  #moreAfter = false; // while it was, they got to the end of what is shown
  #slow = 0;

  /**
   * `root`: where it stands. `path()`: the address with its filters.
   * Either `columns` [{label, cell(item), kind?}] for a table with this `caption`, or `row(item)` for anything else.
   * `order(a, b)` sorts what was read; `id(item)`; `empty()`: what to show when there is nothing; `onRead(items, hasMore)`; `pick(item)`: false leaves out.
   */
  constructor(root, options) {
    this.#root = root;
    this.#api = options.api;
    this.#options = { id: (item) => item.id, pick: () => true, onRead: () => {}, ...options };
    const frame = options.columns ? this.#table() : this.#plain();
    root.replaceChildren(frame, this.#state, this.#foot);
    root.dataset.list = "";
    new IntersectionObserver(
      ([seen]) => seen.isIntersecting && this.#next && !this.#isFull && this.more(),
      { rootMargin: `${AHEAD_PX}px` },
    ).observe(this.#foot);
  }

  get items() {
    const shown = [...this.#items.values()].filter(this.#options.pick);
    return this.#options.order ? shown.sort(this.#options.order) : shown;
  }

  get #isFull() {
    return this.items.length >= MOST_ROWS;
  }

  /** Forget what is shown and read the first page. */
  reload() {
    return this.#begin("");
  }

  async #begin(cursor) {
    this.#items.clear();
    this.#next = null;
    this.#moreAfter = false;
    this.#from = cursor;
    this.#draw();
    clearTimeout(this.#slow);
    this.#slow = setTimeout(() => this.#state.replaceChildren(skeleton()), SLOW_AFTER_MS);
    this.#state.replaceChildren();
    await this.#read(cursor, { fresh: true });
  }

  /** Read the first page again and put what changed into what is shown; after what is being read, if something is. */
  async refresh() {
    if (this.#reading) {
      this.#readAgain = true;
      return;
    }
    if (this.#items.size === 0) await this.reload();
    else await this.#read(this.#from, { quiet: true });
  }

  async more() {
    if (this.#reading) this.#moreAfter = this.#isQuiet;
    if (this.#reading || !this.#next || this.#isFull) return;
    this.#foot.replaceChildren(skeleton());
    await this.#read(this.#next, {});
  }

  /** Put a changed item in its place. */
  update(item) {
    const id = this.#options.id(item);
    if (this.#items.has(id)) this.#items.set(id, { ...this.#items.get(id), ...item });
    this.#isOlder = this.#reading !== null;
    this.#draw();
  }

  /** Put an item that was not there, or no longer, among the others; `order` says where. */
  add(item) {
    this.#items.set(this.#options.id(item), item);
    this.#isOlder = this.#reading !== null;
    this.#draw();
    this.#say();
  }

  remove(id) {
    this.#items.delete(id);
    this.#isOlder = this.#reading !== null;
    this.#draw();
    if (this.#items.size === 0) this.#say();
  }

  async #read(cursor, { fresh = false, quiet = false }) {
    const path = this.#options.path();
    const turn = ++this.#turn;
    this.#isOlder = false;
    this.#isQuiet = quiet;
    const [address, query = ""] = path.split("?");
    const values = Object.fromEntries(new URLSearchParams(query));
    try {
      this.#reading = this.#api.get(withQuery(address, { limit: PAGE, ...values, cursor }));
      const page = await this.#reading;
      if (turn !== this.#turn) return;
      if (this.#isOlder) {
        await this.#read(cursor, { fresh, quiet });
        return;
      }
      this.#answered();
      const known = this.#items;
      if (fresh) this.#items = new Map();
      if (quiet) this.#items = new Map(page.items.map((item) => [this.#options.id(item), item]));
      for (const item of page.items) this.#items.set(this.#options.id(item), item);
      // What was read beyond the first page stays below it; what left the first page is gone.
      if (quiet && page.next) {
        const before = [...known];
        const last = before.findLastIndex(([id]) => this.#items.has(id));
        if (last >= 0) for (const [id, item] of before.slice(last + 1)) this.#items.set(id, item);
        else this.#next = page.next;
      } else this.#next = page.next;
      this.#draw();
      this.#say();
      this.#options.onRead(this.items, Boolean(this.#next), page);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (turn !== this.#turn) return;
      this.#answered();
      if (!quiet && error.status !== 401) this.#trouble(error);
      if (!quiet) return;
    }
    if (this.#reading) return; // `onRead` may read on
    if (this.#moreAfter) {
      this.#moreAfter = false;
      await this.more();
    }
    if (!this.#readAgain || this.#reading) return;
    this.#readAgain = false;
    this.refresh();
  }

  #answered() {
    clearTimeout(this.#slow);
    this.#reading = null;
  }

  #draw() {
    const used = new Set();
    const nodes = [];
    for (const item of this.items) {
      const id = this.#options.id(item);
      const mark = JSON.stringify(item);
      let known = this.#elements.get(id);
      if (known?.mark !== mark) {
        known = { mark, element: this.#element(item) };
        this.#elements.set(id, known);
      }
      used.add(id);
      nodes.push(known.element);
    }
    for (const id of this.#elements.keys()) if (!used.has(id)) this.#elements.delete(id);
    reconcile(this.#body, nodes);
    this.#root.toggleAttribute("data-empty", nodes.length === 0);
  }

  /** Draw every row anew: something beside the items has changed. */
  redraw() {
    this.#elements.clear();
    this.#draw();
  }

  #say() {
    const shown = this.items.length;
    this.#state.replaceChildren(...(shown ? [] : [this.#options.empty()]));
    const parts = [];
    if (this.#from) parts.push(button("back", "To the start", () => this.#leaf(""), { kind: "quiet" }));
    if (this.#next && this.#isFull) parts.push(button("more", `The next ${MOST_ROWS}`, () => this.#leaf(this.#next)));
    else if (this.#next) parts.push(button("down", "More", () => this.more(), { kind: "quiet" }));
    else if (shown > PAGE / 2) parts.push(h("p", { class: "muted small" }, "That is all."));
    this.#foot.replaceChildren(...parts);
  }

  /** Show what begins at another place, from its first row. */
  async #leaf(cursor) {
    await this.#begin(cursor);
    this.#root.scrollIntoView({ block: "start" });
    const first = this.#body.querySelector("a, button");
    first?.focus({ preventScroll: true });
  }

  #trouble(error) {
    const again = button("again", "Try again", () => (this.#items.size ? this.more() : this.#begin(this.#from)));
    const card = errorCard({
      title: error.status === 403 ? "This is not for you to see" : "The list could not be read",
      happened: error.message,
      kept: "Everything; this only shows it.",
      now: error.passing ? "Try again in a moment." : null,
      actions: error.status === 403 ? [] : [again],
    });
    if (this.#items.size) this.#foot.replaceChildren(card);
    else this.#state.replaceChildren(card);
  }

  #plain() {
    this.#body = h(this.#options.tag ?? "ul", { class: `plain ${this.#options.kind ?? ""}` });
    return this.#body;
  }

  #table() {
    const { columns, caption } = this.#options;
    this.#body = h("tbody");
    const heads = columns.map(({ label, kind = "", hidden }) =>
      h("th", { scope: "col", class: kind }, hidden ? h("span", { class: "sr" }, label) : label),
    );
    return h(
      "div",
      { class: "tablebox" },
      h("table", {}, h("caption", { class: "sr" }, caption), h("thead", {}, h("tr", {}, ...heads)), this.#body),
    );
  }

  #element(item) {
    const { columns, row } = this.#options;
    if (!columns) return row(item);
    return h("tr", {}, ...columns.map(({ label, cell, kind = "" }) => h("td", { class: kind, "data-label": label }, cell(item))));
  }
}

function skeleton() {
  const lines = ["", "middle", "short"].map((width) => h("span", { class: `skel ${width}`, "aria-hidden": "true" }));
  return h("div", { class: "loading" }, h("span", { class: "sr", role: "status" }, "Loading"), ...lines);
}

/** What stands where a list has nothing: a title, what to do, and perhaps a link or a button. */
export function empty(title, text, ...more) {
  return h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, text), ...more);
}
