// The live events of one conversation over a WebSocket: resumes where it stopped, backs off while nobody answers.
// Events are hints; after every reconnect the page reads the rows again, because they are the truth.

import { socketUrl } from "./server.js";

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 10_000;
const SIGNED_OUT = 4401;
const UNKNOWN_CHANNEL = 4404;

export class Stream {
  #channel;
  #handlers;
  #socket = null;
  #last = null;
  #tries = 0;
  #timer = 0;
  #closed = false;

  /**
   * Handlers: `event(name, data, id)`, `open()`, `lost(nextTryAt)`, `signedOut()`, `unsure()` when the server refused
   * without a reason the browser may see.
   */
  constructor(channel, handlers) {
    this.#channel = channel;
    this.#handlers = handlers;
  }

  /** Connect. `after` asks for everything later than this event id; null means from now on. */
  open(after = null) {
    this.#last ??= after;
    this.#connect();
  }

  /** Try at once instead of waiting for the next turn. */
  hurry() {
    if (!this.#closed && this.#socket === null) this.#connect();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    if (socket?.readyState === WebSocket.CONNECTING)
      socket.onopen = () => socket.close(); // closing sooner is an error
    else socket?.close();
  }

  #connect() {
    clearTimeout(this.#timer);
    if (this.#closed || this.#socket) return;
    const resume = this.#last === null ? "" : `?after=${this.#last}`;
    const socket = new WebSocket(socketUrl(`/ws/channels/${encodeURIComponent(this.#channel)}${resume}`));
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#tries = 0;
      this.#handlers.open();
    };
    socket.onmessage = ({ data }) => this.#closed || this.#receive(data);
    socket.onclose = ({ code }) => {
      this.#socket = null;
      if (this.#closed) return;
      if (code === SIGNED_OUT) {
        this.#handlers.signedOut();
        return;
      }
      if (!opened && code !== UNKNOWN_CHANNEL) this.#handlers.unsure();
      this.#later();
    };
  }

  #receive(text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return; // not ours
    }
    if (Number.isInteger(frame.id)) this.#last = frame.id;
    if (typeof frame.event === "string") this.#handlers.event(frame.event, frame.data ?? {}, frame.id);
  }

  #later() {
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#tries) * (0.75 + Math.random() / 2);
    this.#tries += 1;
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#handlers.lost(Date.now() + wait);
  }
}
