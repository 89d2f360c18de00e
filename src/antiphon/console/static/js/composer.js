// The field to write in: drafts per conversation, Enter and Escape, the length limit.

import { byId } from "./dom.js";

const SAVE_AFTER_MS = 150;

export class Composer {
  #field = byId("say");
  #problem = byId("say-problem");
  #keep;
  #limit;
  #channel = "";
  #timer = 0;
  #onSend;
  #files;
  #sentEarly = false;

  /** `onSend(text, files)`, `onStop()`, `onTyping()`; `files` holds what goes with the text. */
  constructor({ keep, limit, files, onSend, onStop, onTyping }) {
    this.#keep = keep;
    this.#files = files;
    this.#limit = limit;
    this.#onSend = onSend;
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    this.#field.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#save(), SAVE_AFTER_MS);
      this.#check();
      onTyping();
    });
    this.#field.addEventListener("blur", onTyping);
    byId("stop").addEventListener("click", onStop);
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !byId("stop").hidden && !byId("dialog").open) onStop();
    });
    addEventListener("pagehide", () => this.#save());
  }

  get typing() {
    return document.activeElement === this.#field && this.#field.value.trim() !== "";
  }

  /** Show the draft of a conversation; the draft of the one before, and what was typed before the first, is kept. */
  open(channel) {
    this.#save();
    const early = this.#channel ? "" : this.#field.value;
    const draft = this.#keep.get(`draft:${channel}`, "");
    this.#channel = channel;
    this.#files.open(channel);
    this.#field.value = [this.#sentEarly ? "" : draft, early].filter(Boolean).join("\n");
    if (this.#sentEarly) {
      this.#sentEarly = false;
      this.#send();
      this.#field.value = [this.#field.value, draft].filter(Boolean).join("\n");
    }
    this.#save();
    this.#check();
  }

  /** Keep nothing more: the person leaves. */
  close() {
    clearTimeout(this.#timer);
    this.#channel = "";
  }

  focus() {
    this.#field.focus({ preventScroll: true });
  }

  /** Put text that was not accepted back in front of what stands in the field of its conversation now. */
  giveBack(channel, text, files = []) {
    this.#files.giveBack(channel, files);
    if (channel !== this.#channel) {
      const draft = this.#keep.get(`draft:${channel}`, "");
      this.#keep.set(`draft:${channel}`, [text, draft].filter(Boolean).join("\n"));
      return;
    }
    this.#field.value = [text, this.#field.value].filter(Boolean).join("\n");
    this.#save();
    this.#check();
    this.focus();
  }

  running(active, stopping) {
    const stop = byId("stop");
    const hadFocus = document.activeElement === stop;
    stop.hidden = !active;
    stop.disabled = stopping;
    if (hadFocus && !active) this.focus();
  }

  #send() {
    const text = this.#field.value.trim();
    if ((!text && !this.#files.ready.length) || !this.#check()) return;
    if (this.#files.busy) {
      this.#problem.textContent = "A file is still on its way up.";
      return;
    }
    if (!this.#channel) {
      this.#sentEarly = true; // the page still starts: it goes out as soon as the conversation is open
      return;
    }
    this.#field.value = "";
    this.#save();
    const files = this.#files.take();
    this.#onSend(text, files);
    this.focus();
  }

  #save() {
    clearTimeout(this.#timer);
    if (this.#channel) this.#keep.set(`draft:${this.#channel}`, this.#field.value);
  }

  #check() {
    const over = [...this.#field.value.trim()].length - this.#limit;
    this.#problem.textContent = over > 0 ? `${over.toLocaleString()} characters too many.` : "";
    this.#field.toggleAttribute("aria-invalid", over > 0);
    if (over > 0) this.#field.setAttribute("aria-invalid", "true");
    return over <= 0;
  }
}
