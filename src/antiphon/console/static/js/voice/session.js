// One spoken session from this page: asks for a token, opens the session, connects speech and transcript, and ends it.

import { withQuery } from "../api.js";
import { Capture } from "./capture.js";
import { EmbeddedTransport } from "./embedded.js";
import { Feed } from "./feed.js";

export class Session {
  id = "";
  #api;
  #wish;
  #handlers;
  #transport = null;
  #capture = null;
  #feed = null;
  #over = false;
  #told = false; // the server knows that it is over

  /**
   * `wish`: {room, identity, name, language, voice, prompt}. Handlers: `event(data)`, `connected()`, `lost()`,
   * `failed(error)`, `over(reason)` when it ended by itself.
   */
  constructor(api, wish, handlers) {
    this.#api = api;
    this.#wish = wish;
    this.#handlers = handlers;
  }

  get transport() {
    return this.#transport?.name ?? "";
  }
  get levels() {
    return this.#transport?.levels ?? { me: 0, agent: 0 };
  }

  /**
   * Begin to talk, with a microphone that was opened already; `silent`: nothing is to be heard until somebody presses
   * the key. Whatever fails leaves nothing behind.
   */
  async begin({ context, stream, silent }) {
    try {
      this.#capture = new Capture(context, { silent });
      const source = await this.#capture.open(stream);
      this.#check();
      const pass = await this.#token();
      const { session_id: id } = await this.#api.post("/api/voice/session", this.#body());
      this.id = id;
      this.#check();
      this.#feed = new Feed(id, {
        event: (event) => this.#event(event),
        open: () => {},
        lost: () => {},
        over: () => this.#ended("left"),
      });
      this.#feed.open();
      this.#transport = await this.#choose(pass, { context, stream, source });
      this.#check();
      await this.#transport.open();
      this.#check();
    } catch (error) {
      const ended = this.#over;
      await this.end().catch(() => {}); // its own time-out ends it, too
      throw ended ? new DOMException("ended", "AbortError") : error;
    }
  }

  setMuted(muted) {
    if (this.#capture) this.#capture.silent = muted;
    this.#transport?.setMuted(muted);
  }
  hold(held) {
    if (this.#capture) this.#capture.silent = !held;
    this.#transport?.hold(held);
  }
  useMicrophone(stream) {
    return this.#transport?.useMicrophone(stream);
  }

  /** Hear it through another loudspeaker. */
  useSpeaker(device) {
    return this.#transport?.useSpeaker?.(device);
  }

  /** End it, also while the page is being left. Twice is once. */
  async end() {
    this.#close();
    if (!this.id || this.#told) return;
    this.#told = true;
    const path = `/api/voice/session/${encodeURIComponent(this.id)}`;
    await this.#api.delete(path, { keepalive: true }).catch((error) => {
      if (error.status !== 404) throw error;
    });
  }

  async #choose(pass, { context, stream, source }) {
    const handlers = {
      connected: () => this.#over || this.#handlers.connected(),
      lost: () => this.#over || this.#handlers.lost(),
      over: () => this.#ended(""),
      failed: (error) => this.#over || this.#handlers.failed(error),
    };
    if (pass.transport === "livekit") {
      const { RoomTransport } = await import("./room.js");
      const { url, token } = pass;
      return new RoomTransport({ context, stream, capture: this.#capture, session: this.id, url, token, handlers });
    }
    let first = pass.token;
    const ticket = async () => {
      const token = first || (await this.#token()).token;
      first = "";
      return token;
    };
    return new EmbeddedTransport({ context, capture: this.#capture, source, session: this.id, ticket, handlers });
  }

  #check() {
    if (this.#over) throw new DOMException("ended", "AbortError");
  }

  #token() {
    const { room, identity, name } = this.#wish;
    return this.#api.get(withQuery("/api/voice/token", { room, identity, name }));
  }

  #body() {
    const { room, identity, prompt, language, voice } = this.#wish;
    const body = { room, identity, language, voice };
    return prompt ? { ...body, system_prompt: prompt } : body;
  }

  #event(event) {
    if (event.type === "ended") {
      this.#told = true;
      this.#ended(event.reason ?? "");
    } else this.#handlers.event(event);
  }

  #ended(why) {
    if (this.#over) return;
    this.#close();
    this.#handlers.over(why); // the page ends it, which tells the server
  }

  #close() {
    this.#over = true;
    this.#feed?.close();
    this.#capture?.close();
    this.#transport?.close();
  }
}
