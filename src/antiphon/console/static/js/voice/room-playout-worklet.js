// In the audio thread: the agent's sound from a room on its way to the loudspeaker. It says how much of a run of sound was
// played since its first loud sample (the server knows which sample of its own that was), and is silent from the moment
// somebody interrupts until the next run begins, whatever is still on its way.

const LOUD = 0.01; // as the server has it
const QUIET_S = 0.06; // between two stretches of sound
const CLAIM_S = 1; // a run may be announced so late after its sound began
const REPORT_S = 0.05;
const REST_S = 1; // of quiet: nothing to report any more

class RoomPlayout extends AudioWorkletProcessor {
  #now = 0; // samples that came
  #loudAt = -Infinity; // the last loud one
  #stretchAt = -Infinity; // where the stretch of sound began that goes on or was last
  #run = 0; // the one that is played
  #from = 0; // its first loud sample
  #announced = 0; // the one that is to come
  #silencedAt = -Infinity;
  #silent = false;
  #told = 0;
  #last = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => (data.run ? this.#announce(data.run) : this.#silence());
  }

  #announce(run) {
    this.#announced = run;
    const isNew = this.#stretchAt > this.#silencedAt && (!this.#run || this.#stretchAt > this.#from);
    if (isNew && this.#now - this.#stretchAt < CLAIM_S * sampleRate && this.#sounds) this.#begin();
  }

  /** Somebody interrupted. */
  #silence() {
    this.#report();
    this.#run = this.#announced = 0;
    this.#silencedAt = this.#now;
    this.#silent = true;
  }

  #begin() {
    this.#run = this.#announced;
    this.#announced = 0;
    this.#from = this.#stretchAt;
    this.#silent = false;
  }

  get #sounds() {
    return this.#now - this.#loudAt < QUIET_S * sampleRate;
  }

  process([[input]], [[output]]) {
    for (let i = 0; i < output.length; i += 1) {
      const sample = input?.[i] ?? 0;
      if (Math.abs(sample) > LOUD) {
        if (!this.#sounds) {
          this.#stretchAt = this.#now;
          if (this.#announced) this.#begin();
        }
        this.#loudAt = this.#now;
      }
      this.#now += 1;
      this.#last = this.#silent ? this.#last * 0.98 : sample; // a cut without a crack
      output[i] = this.#last;
    }
    if (this.#now - this.#told >= REPORT_S * sampleRate) this.#report();
    return true;
  }

  #report() {
    this.#told = this.#now;
    if (!this.#run || this.#now - this.#loudAt > REST_S * sampleRate) return;
    this.port.postMessage({ run: this.#run, seconds: (this.#now - this.#from) / sampleRate });
  }
}

registerProcessor("room-playout", RoomPlayout);
