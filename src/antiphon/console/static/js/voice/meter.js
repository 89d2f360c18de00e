// A level meter: a row of bars, as many of them lit as it is loud.

import { h } from "../dom.js";

const BARS = 28;

export class Meter {
  #bars;
  #lit = 0;

  constructor(root) {
    this.#bars = Array.from({ length: BARS }, () => h("i"));
    root.replaceChildren(...this.#bars);
  }

  /** From 0 to 1. */
  show(level) {
    const lit = Math.round(level * BARS);
    for (let i = Math.min(lit, this.#lit); i < Math.max(lit, this.#lit); i += 1) this.#bars[i].classList.toggle("on", i < lit);
    this.#lit = lit;
  }
}
