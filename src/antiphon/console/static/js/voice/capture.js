// What the microphone hears, as frames of the wire: PCM of 16 bits, 16 kHz, 20 ms. It listens from the moment the microphone
// is open. Until somebody takes the frames, the last seconds are kept: people speak as soon as they have pressed the
// button, and not when a connection is there.

export const RATE = 16_000;
export const FRAME_MS = 20;
const MOST_KEPT = 8000 / FRAME_MS;

export class Capture {
  #context;
  #node = null;
  #source = null;
  #kept = [];
  #silent;
  #take = () => false;

  /** `silent`: whether nothing may be kept at first, as somebody has to press a key in order to talk. */
  constructor(context, { silent }) {
    this.#context = context;
    this.#silent = silent;
  }

  async open(stream) {
    await this.#context.audioWorklet.addModule(new URL("capture-worklet.js", import.meta.url));
    this.#node = new AudioWorkletNode(this.#context, "capture", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
      processorOptions: { rate: RATE, frameMs: FRAME_MS },
    });
    this.#node.port.onmessage = ({ data }) => this.#frame(data);
    return this.useMicrophone(stream);
  }

  /** Listen to this microphone from now on; returns the node of its sound. */
  useMicrophone(stream) {
    this.#source?.disconnect();
    this.#source = this.#context.createMediaStreamSource(stream);
    this.#source.connect(this.#node);
    return this.#source;
  }

  /** `take(frame)` gets every frame, and says whether it could use it; the last seconds of those it could not are kept. */
  to(take) {
    this.#take = take;
    this.#handOver();
  }

  /** Whether nothing is to be heard; what was kept is forgotten then. */
  set silent(silent) {
    this.#silent = silent;
    if (silent) this.#kept = [];
  }

  close() {
    this.#take = () => true;
    this.#kept = [];
    this.#source?.disconnect();
    this.#node?.port.close();
  }

  #frame(frame) {
    if (this.#silent) return;
    this.#kept.push(frame);
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
    this.#handOver();
  }

  #handOver() {
    while (this.#kept.length && this.#take(this.#kept[0])) this.#kept.shift();
  }
}
