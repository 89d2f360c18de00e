// What the agent is doing now, as a word and as a figure. The word is the truth, the figure is the feeling.

import { byId, icon } from "./dom.js";

const WORDS = {
  idle: "Resting",
  starting: "Starting",
  listening: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
  waiting: "Waiting for you",
  error: "In trouble",
};
const ICONS = { starting: "clock" }; // the others have one of their own

/** Show `state` everywhere. `detail` replaces the word in the line under the title. */
export function showPresence(state, detail = "") {
  const word = WORDS[state];
  const line = document.getElementById("state-line"); // where the page has one
  if (line) {
    line.dataset.state = state;
    if (line.textContent !== (detail || word)) line.textContent = detail || word;
  }
  for (const bird of document.querySelectorAll(".songbird")) bird.dataset.state = state;
  const name = byId("state-name");
  if (name.dataset.state === state && name.textContent === word) return;
  name.dataset.state = state;
  const label = document.createElement("span");
  label.textContent = word;
  name.replaceChildren(icon(ICONS[state] ?? state), label);
}

/** Says finished sentences to screen readers, never single words of a growing one. */
export class Announcer {
  #said = 0;

  /** The answer so far, as plain text. */
  growing(text) {
    const end = Math.max(...[". ", "! ", "? ", "\n"].map((mark) => text.lastIndexOf(mark)));
    if (end + 1 > this.#said) this.#say(text.slice(this.#said, end + 1), end + 1);
  }

  /** The whole answer: what was not said yet is said now. */
  finished(text) {
    this.#say(text.slice(this.#said), 0);
  }

  /** Something beside the answers, such as a question that waits. */
  note(text) {
    this.#say(text, this.#said);
  }

  #say(text, said) {
    this.#said = said;
    const sentence = text.replace(/[*_`#>|]+/g, "").trim();
    if (!sentence) return;
    const region = byId("announce");
    const line = document.createElement("p");
    line.textContent = sentence;
    region.append(line);
    while (region.childElementCount > 5) region.firstElementChild.remove();
  }
}
