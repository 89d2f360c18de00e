// In the audio thread: frames of the wire are played, through a buffer that evens out how irregularly they arrive. It
// says how far it is in everything it was given: that is what the listener has heard.

import { Resampler } from "./resampler.js";

const LEAST_MS = 40; // waits for so much before it begins
const MOST_MS = 200; // what is beyond is passed over, or it would be a delay for good
const STEP_MS = 20;
const GAP_MS = 300; // a shorter pause in the middle means that frames came late
const REST_MS = 60; // no frame for so long: what is there is the end of an answer
const CALM_S = 10; // without a late frame the buffer becomes shorter again
const REPORT_S = 0.05;

class Playout extends AudioWorkletProcessor {
  #rate;
  #frames = [];
  #offset = 0; // in the first frame
  #held = 0; // samples in all frames
  #wanted = LEAST_MS;
  #running = false;
  #connection = 0;
  #position = 0; // samples of the wire that were played or passed over
  #told = 0;
  #toldAt = 0;
  #arrivedAt = 0;
  #emptyAt = 0;
  #calmSince = 0;
  #last = 0;
  #resampler;
  #ready = new Float32Array(0);

  constructor({ processorOptions }) {
    super();
    this.#rate = processorOptions.rate;
    this.#resampler = new Resampler(this.#rate, sampleRate);
    this.port.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) this.#push(new Int16Array(data));
      else if (data.begin) this.#begin(data.begin);
      else this.#clear();
    };
  }

  /** Another connection, with a number of its own: it counts from the beginning. */
  #begin(connection) {
    this.#clear();
    this.#connection = connection;
    this.#position = this.#told = 0;
  }

  #samples = (ms) => (this.#rate * ms) / 1000;

  #push(frame) {
    const now = currentTime;
    if (!this.#running && this.#emptyAt && (now - this.#emptyAt) * 1000 < GAP_MS) {
      this.#wanted = Math.min(MOST_MS - LEAST_MS, this.#wanted + STEP_MS);
      this.#calmSince = now;
      this.#emptyAt = 0;
    } else if (now - this.#calmSince > CALM_S) {
      this.#wanted = Math.max(LEAST_MS, this.#wanted - STEP_MS);
      this.#calmSince = now;
    }
    this.#arrivedAt = now;
    this.#frames.push(frame);
    this.#held += frame.length;
    while (this.#held > this.#samples(MOST_MS) && this.#frames.length > 1) this.#drop();
  }

  #drop() {
    const left = this.#frames.shift().length - this.#offset;
    this.#offset = 0;
    this.#held -= left;
    this.#position += left;
  }

  /** Somebody interrupted: what was not played yet never will be. */
  #clear() {
    this.#frames = [];
    this.#offset = this.#held = 0;
    this.#ready = new Float32Array(0);
    this.#running = false;
    this.#emptyAt = 0;
    this.#report(true);
  }

  /** Up to `count` samples of the wire. */
  #take(count) {
    const out = new Float32Array(Math.min(count, this.#held));
    let filled = 0;
    while (filled < out.length) {
      const frame = this.#frames[0];
      const part = Math.min(frame.length - this.#offset, out.length - filled);
      for (let i = 0; i < part; i += 1) out[filled + i] = frame[this.#offset + i] / 32_768;
      filled += part;
      this.#offset += part;
      if (this.#offset === frame.length) {
        this.#frames.shift();
        this.#offset = 0;
      }
    }
    this.#held -= out.length;
    this.#position += out.length;
    return out;
  }

  process(_, [[output]]) {
    const late = (currentTime - this.#arrivedAt) * 1000 > REST_MS;
    if (!this.#running && this.#held > 0 && (late || this.#held >= this.#samples(this.#wanted))) this.#running = true;
    if (this.#running) {
      const needed = Math.ceil(((output.length - this.#ready.length) * this.#rate) / sampleRate);
      if (needed > 0) this.#ready = joined(this.#ready, this.#resampler.push(this.#take(needed)));
      if (this.#held === 0) {
        this.#running = false;
        this.#emptyAt = currentTime;
      }
    }
    const count = Math.min(output.length, this.#ready.length);
    output.set(this.#ready.subarray(0, count));
    this.#ready = this.#ready.slice(count);
    if (count > 0) this.#last = output[count - 1];
    for (let i = count; i < output.length; i += 1) output[i] = this.#last *= 0.9; // a cut without a crack
    this.#report(false);
    return true;
  }

  #report(atOnce) {
    if (this.#position === this.#told && !atOnce) return;
    if (!atOnce && currentTime - this.#toldAt < REPORT_S) return;
    this.#told = this.#position;
    this.#toldAt = currentTime;
    this.port.postMessage({ connection: this.#connection, position: this.#position });
  }
}

function joined(a, b) {
  const all = new Float32Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

registerProcessor("playout", Playout);
