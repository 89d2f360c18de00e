// In the audio thread: what the microphone hears becomes frames of the wire, PCM of 16 bits, 20 ms each.

import { Resampler } from "./resampler.js";

class Capture extends AudioWorkletProcessor {
  #resampler;
  #frame;
  #filled = 0;

  constructor({ processorOptions }) {
    super();
    const { rate, frameMs } = processorOptions;
    this.#resampler = new Resampler(sampleRate, rate);
    this.#frame = new Int16Array((rate * frameMs) / 1000);
  }

  process([[samples]]) {
    if (!samples) return true; // nothing is connected (yet)
    for (const sample of this.#resampler.push(samples)) {
      this.#frame[this.#filled] = Math.max(-1, Math.min(1, sample)) * 32_767;
      this.#filled += 1;
      if (this.#filled === this.#frame.length) {
        const copy = this.#frame.slice();
        this.port.postMessage(copy.buffer, [copy.buffer]);
        this.#filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
