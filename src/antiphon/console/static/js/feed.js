// A live stream for operators (server-sent events): what was kept comes first, then what happens. Reconnects by itself.

import { waitBefore } from "./retry.js";
import { apiUrl, isElsewhere } from "./server.js";

const FIRST_WAIT_MS = 800;
const LONGEST_WAIT_MS = 15_000;

export class Feed {
  #path;
  #name;
  #handlers;
  #source = null;
  #last = "";
  #tries = 0;
  #timer = 0;
  #closed = false;

  /** `name` of the events; handlers: `entries(list)` in bundles, `state("live" | "lost")`, `refused()`. */
  constructor(path, name, handlers) {
    this.#path = path;
    this.#name = name;
    this.#handlers = handlers;
    addEventListener("pagehide", () => this.#source?.close());
    addEventListener("online", () => this.hurry());
  }

  open() {
    clearTimeout(this.#timer);
    const resume = this.#last ? `${this.#path.includes("?") ? "&" : "?"}after=${this.#last}` : "";
    const source = new EventSource(apiUrl(this.#path + resume), { withCredentials: isElsewhere });
    this.#source = source;
    let bundle = [];
    source.onopen = () => {
      this.#tries = 0;
      this.#handlers.state("live");
    };
    source.addEventListener(this.#name, ({ data, lastEventId }) => {
      if (bundle.length === 0)
        requestAnimationFrame(() => {
          const entries = bundle;
          bundle = [];
          if (this.#closed) return;
          this.#handlers.entries(entries);
        });
      bundle.push(JSON.parse(data));
      this.#last = lastEventId;
    });
    source.onerror = () => {
      source.close(); // the browser's own retry gives up at the first answer that is not a stream
      this.#source = null;
      this.#handlers.state("lost");
      const wait = waitBefore(this.#tries, FIRST_WAIT_MS, LONGEST_WAIT_MS);
      this.#tries += 1;
      if (this.#tries > 1) this.#handlers.refused();
      this.#timer = setTimeout(() => this.open(), wait);
    };
  }

  /** Listen no more. */
  close() {
    clearTimeout(this.#timer);
    this.#closed = true;
    this.#source?.close();
  }

  /** Try at once instead of waiting. */
  hurry() {
    if (this.#source === null && !this.#closed) this.open();
  }
}
