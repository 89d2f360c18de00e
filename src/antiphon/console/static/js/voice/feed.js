// The transcript socket of a spoken session: words, who speaks, tools, questions. Resumes after the last event it has,
// backs off while nobody answers, and stops for good when the session has ended.

import { socketUrl } from "../server.js";

const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 8000;
const UNAUTHORISED = 4401;
const UNKNOWN = 4404;

export class Feed {
  #session;
  #handlers;
  #socket = null;
  #last = null;
  #tries = 0;
  #timer = 0;
  #closed = false;

  /** Handlers: `event(data)`, `open()`, `lost()`, `over(code)` when there is nothing to come back to. */
  constructor(session, handlers) {
    this.#session = session;
    this.#handlers = handlers;
  }

  open() {
    clearTimeout(this.#timer);
    if (this.#closed || this.#socket) return;
    const resume = this.#last === null ? "" : `?after=${this.#last}`;
    const socket = new WebSocket(socketUrl(`/ws/transcript/${encodeURIComponent(this.#session)}${resume}`));
    this.#socket = socket;
    socket.onopen = () => {
      this.#tries = 0;
      this.#handlers.open();
    };
    socket.onmessage = ({ data }) => this.#closed || this.#receive(data);
    socket.onclose = ({ code }) => {
      this.#socket = null;
      if (this.#closed) return;
      if (code === UNAUTHORISED || code === UNKNOWN) {
        this.#handlers.over(code);
        return;
      }
      const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#tries) * (0.75 + Math.random() / 2);
      this.#tries += 1;
      this.#timer = setTimeout(() => this.open(), wait);
      this.#handlers.lost();
    };
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    if (socket?.readyState === WebSocket.CONNECTING)
      socket.onopen = () => socket.close(); // closing sooner is an error
    else socket?.close();
  }

  #receive(text) {
    let event;
    try {
      event = JSON.parse(text);
    } catch {
      return; // not ours
    }
    if (Number.isInteger(event.id)) this.#last = event.id;
    if (typeof event.type === "string") this.#handlers.event(event);
  }
}
