// Changes the sample rate of a stream of samples, by interpolation with a windowed sinc. Used by the audio worklets where
// the browser's audio does not run at the rate of the wire.

const REACH = 12; // samples of the slower rate on each side of a point
const STEPS = 64; // places between two samples for which the filter is known

export class Resampler {
  #ratio;
  #filter;
  #half;
  #kept = new Float32Array(0);
  #at = 0; // where the next sample is taken, counted in samples from the beginning of #kept

  constructor(from, to) {
    this.#ratio = from / to;
    const cutoff = Math.min(1, to / from) * 0.94; // what the slower rate cannot hold is left out
    this.#half = Math.ceil(REACH / Math.min(1, to / from));
    const size = this.#half * 2 * STEPS + 1;
    this.#filter = new Float32Array(size);
    for (let i = 0; i < size; i += 1) {
      const distance = i / STEPS - this.#half;
      const x = Math.PI * distance * cutoff;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * distance) / this.#half);
      this.#filter[i] = cutoff * (x === 0 ? 1 : Math.sin(x) / x) * window;
    }
    if (from === to) this.#filter = null;
    else this.#kept = new Float32Array(this.#half); // silence before the beginning
    this.#at = this.#filter ? this.#half : 0;
  }

  /** Take samples and return those that can be told by now. */
  push(samples) {
    if (!this.#filter) return samples;
    const half = this.#half;
    const all = new Float32Array(this.#kept.length + samples.length);
    all.set(this.#kept);
    all.set(samples, this.#kept.length);
    const count = Math.max(0, Math.ceil((all.length - half - this.#at) / this.#ratio));
    const out = new Float32Array(count);
    for (let n = 0; n < count; n += 1) {
      const centre = this.#at + n * this.#ratio;
      const first = Math.floor(centre) - half + 1;
      let sum = 0;
      for (let i = first; i < first + half * 2; i += 1)
        sum += (all[i] ?? 0) * this.#filter[Math.round((i - centre + half) * STEPS)];
      out[n] = sum;
    }
    const next = this.#at + count * this.#ratio;
    const drop = Math.max(0, Math.floor(next) - half);
    this.#kept = all.slice(drop);
    this.#at = next - drop;
    return out;
  }
}
