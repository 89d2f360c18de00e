// Messages on their way to the server. An entry keeps the id it was made with until the server has accepted it: a
// second try after a lost answer carries the same id, so nothing is doubled and nothing is lost, across reloads too.

import { ApiError } from "./api.js";
import { newId } from "./keep.js";
import { waitBefore } from "./retry.js";

const FIRST_WAIT_MS = 800;
const LONGEST_WAIT_MS = 20_000;

/** Ordered sending for one conversation. Entries: {id, text, files, at, error?, until?}. */
export class Outbox {
  #api;
  #keep;
  #slot;
  #path;
  #onChange;
  #onAccepted;
  #onRefused;
  #busy = false;
  #tries = 0;
  #timer = 0;
  #isOpen = false;
  #sending = null; // the id of the entry that is on its way just now
  #trouble = null; // {error, until} of the entry at the front

  /** `onAccepted(entry, receipt)`; `onRefused(entry, error)` gives an entry back that can never be accepted. */
  constructor({ api, keep, channel, onChange, onAccepted, onRefused }) {
    this.#api = api;
    this.#keep = keep;
    this.#slot = `unsent:${channel}`;
    this.#path = `/api/channels/${encodeURIComponent(channel)}/messages`;
    this.#onChange = onChange;
    this.#onAccepted = onAccepted;
    this.#onRefused = onRefused;
  }

  get entries() {
    const [first, ...rest] = this.#keep.get(this.#slot, []);
    return first ? [{ ...first, ...this.#trouble }, ...rest] : [];
  }

  add(text, files = []) {
    const entry = { id: newId(), text, files, at: new Date().toISOString() };
    this.#keep.set(this.#slot, [...this.#keep.get(this.#slot, []), entry]);
    this.#onChange();
    this.flush();
  }

  /** Take an unsent entry back. Returns {text, files}, or null when it is gone already, or just on its way. */
  take(id) {
    if (id === this.#sending) return null;
    const entries = this.#keep.get(this.#slot, []);
    const entry = entries.find((one) => one.id === id);
    this.#remove(id);
    this.#onChange();
    return entry ?? null;
  }

  /** Begin to send. Before that everything waits. */
  open() {
    this.#isOpen = true;
    this.flush();
  }

  /** Send what waits, in order, now. */
  async flush() {
    if (this.#busy || !this.#isOpen) return;
    clearTimeout(this.#timer);
    this.#busy = true;
    try {
      for (;;) {
        const [entry] = this.#keep.get(this.#slot, []);
        if (!entry || !this.#isOpen || !(await this.#send(entry))) return;
      }
    } finally {
      this.#busy = false;
    }
  }

  close() {
    this.#isOpen = false;
    clearTimeout(this.#timer);
  }

  async #send(entry) {
    let receipt;
    this.#sending = entry.id;
    try {
      receipt = await this.#api.post(this.#path, bodyOf(entry));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.passing || error.status === 401) this.#later(error);
      else {
        this.#remove(entry.id);
        this.#onRefused(entry, error);
      }
      this.#onChange();
      return !error.passing && error.status !== 401;
    } finally {
      this.#sending = null;
    }
    this.#tries = 0;
    this.#remove(entry.id);
    this.#onAccepted(entry, receipt);
    return true;
  }

  #later(error) {
    const wait = error.retryAfter ? error.retryAfter * 1000 : waitBefore(this.#tries, FIRST_WAIT_MS, LONGEST_WAIT_MS);
    this.#tries += 1;
    this.#trouble = { error, until: Date.now() + wait };
    if (error.status !== 401 && this.#isOpen) this.#timer = setTimeout(() => this.flush(), wait);
  }

  #remove(id) {
    this.#trouble = null;
    this.#keep.set(
      this.#slot,
      this.#keep.get(this.#slot, []).filter((entry) => entry.id !== id),
    );
  }
}

function bodyOf({ id, text, files = [] }) {
  return files.length ? { text, id, attachments: files.map((file) => file.id) } : { text, id };
}
