// The list of conversations: newest first, filtered while one types, with a mark where something new was said.

import { ApiError, withQuery } from "./api.js";
import { byId, h, reconcile } from "./dom.js";
import { Order } from "./order.js";
import { plain } from "./said.js";
import { brief, now } from "./times.js";

const EVERY_MS = 30_000;
const ENOUGH = 20;
const MOST_AT_ONCE = 100;

export const titleOf = (channel) => channel.title || plain(channel.preview).slice(0, 60) || "New conversation";

export class Conversations {
  #api;
  #keep;
  #onOpen;
  #channels = [];
  #next = null;
  #current = "";
  #links = new Map();
  #shown = 0;
  #turn = 0;
  #readings = new Order();

  /** `onOpen(key)` is called when a person picks a conversation. */
  constructor({ api, keep, onOpen }) {
    this.#api = api;
    this.#keep = keep;
    this.#onOpen = onOpen;
    byId("find").addEventListener("input", () => this.#search());
    byId("list-more").addEventListener("click", () => this.more());
    setInterval(() => document.visibilityState === "visible" && this.refresh(), EVERY_MS);
  }

  get first() {
    return this.#channels[0]?.key ?? null;
  }
  find(key) {
    return this.#channels.find((channel) => channel.key === key);
  }

  /** Read the newest page again. Keeps what is shown when the server does not answer. */
  async refresh() {
    const isNews = this.#readings.ask();
    try {
      const page = await this.#api.get("/api/channels");
      if (!isNews()) return;
      const fresh = new Set(page.items.map((channel) => channel.key));
      if (this.#channels.length === 0) this.#next = page.next;
      this.#channels = [...page.items, ...this.#channels.filter((channel) => !fresh.has(channel.key))];
      this.#note("");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.#channels.length === 0) this.#note("The list could not be read. It will be tried again.");
    }
    this.draw();
  }

  async more(limit = "") {
    if (!this.#next) return;
    const cursor = this.#next;
    const page = await this.#api.get(withQuery("/api/channels", { cursor, limit })).catch(() => null);
    if (!page || cursor !== this.#next) return;
    this.#next = page.next;
    const known = new Set(this.#channels.map((channel) => channel.key));
    this.#channels.push(...page.items.filter((channel) => !known.has(channel.key)));
    this.draw();
  }

  /** Mark this conversation as the open one, and as read. */
  select(key) {
    this.#current = key;
    this.draw();
  }

  draw() {
    const wanted = byId("find").value.trim().toLowerCase();
    const read = this.#keep.get("read", { since: new Date(now()).toISOString() });
    const open = this.find(this.#current);
    if (open && document.visibilityState === "visible" && read[open.key] !== open.last_at) {
      read[open.key] = open.last_at;
      this.#keep.set("read", read);
    }
    const shown = this.#channels.filter((channel) =>
      `${channel.title} ${channel.preview}`.toLowerCase().includes(wanted),
    );
    if (this.#current && !open && !wanted) shown.unshift({ key: this.#current, title: "", preview: "", last_at: null });
    reconcile(
      byId("list"),
      shown.map((channel) => this.#link(channel, read)),
    );
    byId("list-more").hidden = !this.#next;
    this.#shown = shown.length;
    const reading = this.#next && shown.length < ENOUGH;
    const none = reading ? "Still looking…" : "Nothing found by that word.";
    if (wanted) this.#note(shown.length ? `${shown.length}${this.#next ? " or more" : ""} found` : none);
  }

  #link(channel, read) {
    const isCurrent = channel.key === this.#current;
    const mark = JSON.stringify([channel, brief(channel.last_at ?? now())]);
    let known = this.#links.get(channel.key);
    if (known?.mark !== mark) {
      const element = h(
        "a",
        { href: `/c/${channel.key}` },
        h("b", { class: "cut" }, h("span", { class: "dot wait unread", title: "New" }), titleOf(channel)),
        channel.last_at ? h("time", { datetime: channel.last_at }, brief(channel.last_at)) : null,
        h("small", { class: "cut" }, plain(channel.preview) || "Nothing said yet"),
      );
      element.addEventListener("click", (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        this.#onOpen(channel.key);
      });
      known?.element.replaceWith(element);
      known = { mark, element };
      this.#links.set(channel.key, known);
    }
    const { element } = known;
    element.toggleAttribute("data-unread", !isCurrent && channel.last_at > (read[channel.key] ?? read.since));
    if (isCurrent) element.setAttribute("aria-current", "true");
    else element.removeAttribute("aria-current");
    return element;
  }

  /** Draw what fits, and read on, to the last conversation if need be, while little does. */
  async #search() {
    const wanted = byId("find").value.trim();
    const turn = ++this.#turn;
    this.draw();
    while (wanted && this.#next && this.#shown < ENOUGH) {
      const before = this.#next;
      await this.more(MOST_AT_ONCE);
      if (turn !== this.#turn) return; // somebody typed on
      if (this.#next === before) break; // the server did not answer
    }
    if (!wanted) this.#note("");
  }

  #note(text) {
    byId("list-note").textContent = text;
  }
}
