// Live events over a WebSocket: resumes after the last one that has a number, backs off while nobody answers, and stops
// for good when there is nothing to come back to. Events are hints; what the API reads is the truth.

import { waitBefore } from "./retry.js";
import { socketUrl } from "./server.js";

const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 10_000;

export const SIGNED_OUT = 4401;
export const UNKNOWN = 4404;

export class Stream {
  #path;
  #over;
  #handlers;
  #socket = null;
  #last = null;
  #tries = 0;
  #timer = 0;
  #wanted = false;
  #closed = false;
  #online = () => this.hurry();

  /**
   * `over`: the close codes after which it is not tried again. Handlers: `frame(object)` for everything that comes,
   * `open()`, `lost(nextTryAt, {opened, code})`, `over(code)`.
   */
  constructor(path, over, handlers) {
    this.#path = path;
    this.#over = over;
    this.#handlers = handlers;
    addEventListener("online", this.#online);
  }

  /** Connect. `after` asks for everything later than the frame with this number; null means from now on. */
  open(after = null) {
    this.#wanted = true;
    this.#last ??= after;
    this.#connect();
  }

  /** Try at once instead of waiting for the next turn. */
  hurry() {
    if (this.#wanted && !this.#closed && this.#socket === null) this.#connect();
  }

  close() {
    this.#closed = true;
    removeEventListener("online", this.#online);
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
    const socket = new WebSocket(socketUrl(this.#path + resume));
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
      if (this.#over.includes(code)) this.#handlers.over(code);
      else this.#later({ opened, code });
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
    this.#handlers.frame(frame);
  }

  #later(how) {
    const wait = waitBefore(this.#tries, FIRST_WAIT_MS, LONGEST_WAIT_MS);
    this.#tries += 1;
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#handlers.lost(Date.now() + wait, how);
  }
}
