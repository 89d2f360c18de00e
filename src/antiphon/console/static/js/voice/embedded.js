// Speech over a WebSocket of this server: PCM of 16 bits, 16 kHz, 20 ms, both ways. What it needs is this program alone.
// It reports how much of the answers was really played, because an interrupted answer is stored as far as it was heard.

import { waitBefore } from "../retry.js";
import { socketUrl } from "../server.js";
import { Level } from "./audio.js";
import { FRAME_MS, RATE } from "./capture.js";

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 4000;
const MOST_WAITING_BYTES = RATE * 2 * 10; // ten seconds of speech that the network does not take: older words help nobody
const OVER = new Set([4401, 4404]); // nothing to come back to

export class EmbeddedTransport {
  name = "embedded";
  #options;
  #socket = null;
  #playout = null;
  #connection = 0;
  #tries = 0;
  #timer = 0;
  #closed = false;
  #silent = false;
  #mode = null;
  #levels = { me: null, agent: null };

  /**
   * `session`: its id; `ticket()` resolves to a new one each time; `context`: the AudioContext; `capture` listens to the
   * microphone, whose sound is also `source`.
   * Handlers: `connected()`, `lost()`, `over(code)`.
   */
  constructor(options) {
    this.#options = options;
  }

  async open() {
    const { context, source } = this.#options;
    await context.audioWorklet.addModule(new URL("playout-worklet.js", import.meta.url));
    this.#playout = new AudioWorkletNode(context, "playout", {
      numberOfInputs: 0,
      outputChannelCount: [1],
      processorOptions: { rate: RATE },
    });
    this.#playout.port.onmessage = ({ data }) => data.connection === this.#connection && this.#played(data.position);
    this.#playout.connect(context.destination);
    this.#levels.agent = new Level(context, this.#playout);
    this.#levels.me = new Level(context, source);
    await this.#connect();
  }

  get levels() {
    return { me: this.#silent ? 0 : (this.#levels.me?.value ?? 0), agent: this.#levels.agent?.value ?? 0 };
  }

  /** Listen to another microphone. */
  useMicrophone(stream) {
    const { context, capture } = this.#options;
    this.#levels.me = new Level(context, capture.useMicrophone(stream));
  }

  setMuted(muted) {
    this.#hush(muted, { type: "mute", muted });
  }

  /** Hold to talk: `held` while the person holds it. */
  hold(held) {
    this.#hush(!held, { type: "ptt", down: held });
  }

  #hush(silent, message) {
    this.#silent = silent;
    this.#mode = message;
    this.#tell(message);
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    if (socket?.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
    else socket?.close();
    this.#playout?.disconnect();
    this.#playout?.port.close();
  }

  async #connect() {
    clearTimeout(this.#timer);
    let ticket;
    try {
      ticket = await this.#options.ticket();
    } catch (error) {
      if (this.#closed) return;
      if (!error.passing || this.#tries === 0) throw error;
      this.#later();
      return;
    }
    if (this.#closed) return;
    const path = `/ws/voice/${encodeURIComponent(this.#options.session)}?${new URLSearchParams({ ticket })}`;
    const socket = new WebSocket(socketUrl(path));
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => {
      this.#tries = 0;
      this.#connection += 1;
      this.#playout.port.postMessage({ begin: this.#connection });
      this.#tell({ type: "hello", rate: RATE, frame_ms: FRAME_MS });
      if (this.#mode) this.#tell(this.#mode); // the server has forgotten it with the connection
      this.#options.capture.to((frame) => this.#send(frame));
      this.#options.handlers.connected();
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code }) => {
      this.#socket = null;
      if (this.#closed) return;
      this.#playout.port.postMessage({ clear: true });
      if (OVER.has(code)) this.#options.handlers.over(code);
      else {
        this.#options.handlers.lost();
        this.#later();
      }
    };
  }

  #later() {
    const wait = waitBefore(this.#tries, FIRST_WAIT_MS, LONGEST_WAIT_MS);
    this.#tries += 1;
    this.#timer = setTimeout(() => this.#connect().catch((error) => this.#options.handlers.failed(error)), wait);
  }

  #receive(data) {
    if (data instanceof ArrayBuffer) this.#playout.port.postMessage(data, [data]);
    else if (JSON.parse(data).type === "clear") this.#playout.port.postMessage({ clear: true });
  }

  #send(frame) {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return false;
    if (socket.bufferedAmount <= MOST_WAITING_BYTES) socket.send(frame);
    return true;
  }

  #played(position) {
    this.#tell({ type: "played", samples: position });
  }

  #tell(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }
}
