// How long each turn took from the person's last word to the agent's first sound, in parts, on one scale.

import { h } from "../dom.js";

const PARTS = [
  ["speech_end", "end of speech"],
  ["transcript", "transcript"],
  ["endpoint", "turn decided"],
  ["first_token", "first word"],
  ["first_audio", "first sound"],
];
const SHOWN = 6;

export class Waterfall {
  #root;
  #shown;
  #turns = [];

  /** `root` holds a .fall and is hidden while it is empty; the last `shown` turns are kept, the newest first. */
  constructor(root, shown = SHOWN) {
    this.#root = root;
    this.#shown = shown;
  }

  clear() {
    this.#turns = [];
    this.#draw();
  }

  /** A turn: {turn, speech_end, endpoint, transcript, first_token, first_audio, stop?}, each in seconds of its own. */
  add(turn) {
    const known = this.#turns.findIndex((other) => other.turn === turn.turn);
    if (known >= 0) this.#turns[known] = { ...this.#turns[known], ...turn };
    else this.#turns.unshift(turn);
    this.#turns.length = Math.min(this.#turns.length, this.#shown);
    this.#draw();
  }

  #draw() {
    this.#root.hidden = this.#turns.length === 0;
    const longest = Math.max(...this.#turns.map(total), 0.001);
    this.#root.querySelector(".fall").replaceChildren(...this.#turns.map((turn) => row(turn, longest)));
  }
}

const ms = (seconds) => `${Math.round(seconds * 1000)} ms`;
const partsOf = (turn) => PARTS.map(([key, word]) => [word, Math.max(0, turn[key] ?? 0)]);
const total = (turn) => partsOf(turn).reduce((sum, [, seconds]) => sum + seconds, 0);

function row(turn, longest) {
  const parts = partsOf(turn);
  const said = parts.filter(([, seconds]) => seconds > 0).map(([word, seconds]) => `${word} ${ms(seconds)}`);
  if (turn.stop) said.push(`silent ${ms(turn.stop)} after an interruption`);
  const bar = h("span", { class: "parts" });
  bar.style.setProperty("--w", `${(total(turn) / longest) * 100}%`);
  parts.forEach(([word, seconds], index) => {
    const part = h("i", { class: `p${index + 1}`, title: `${word} ${ms(seconds)}` });
    part.style.setProperty("--f", seconds);
    bar.append(part);
  });
  // An answer that was given up before it was heard has no time to its first sound.
  const sounded = typeof turn.first_audio === "number";
  const time = sounded ? `${ms(total(turn))} to the first sound` : "it was not heard";
  const label = `Turn ${turn.turn}: ${time} (${said.join(", ")})`;
  const result = h("span", {}, sounded ? ms(total(turn)) : "unheard");
  return h("div", { class: "lap", role: "img", "aria-label": label }, h("span", { class: "muted" }, `turn ${turn.turn}`), bar, result);
}

/** What the colours mean. */
export function legend() {
  return h("p", { class: "legend" }, ...PARTS.map(([, word], index) => h("span", {}, h("i", { class: `p${index + 1}` }), word)));
}
