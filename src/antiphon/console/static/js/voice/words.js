// What is said aloud, as it is said: one row for each stretch of speech. Interim words are grey and may still change; of
// an answer that was interrupted, the words nobody heard are struck. Used live and for sessions of the past.

import { h, icon } from "../dom.js";
import { exact, took } from "../times.js";

const NEAR_PX = 80; // so far from its end a view still counts as at its end
const SIGN = /^[.,:;!?)\]"'…]/; // goes with the word before it

export class Words {
  #list;
  #rows = new Map(); // by segment
  #agent = "Antiphon";
  #me;
  #view;
  #follows = true;

  /**
   * `list`: an <ol class="words">. `me`: what the person is called where a segment does not say. `view`: what scrolls,
   * when the newest words are to stay in sight; whoever scrolled up to read is left alone.
   */
  constructor(list, me, view = null) {
    this.#list = list;
    this.#me = me;
    this.#view = view;
    view?.addEventListener("scroll", () => {
      this.#follows = view.scrollHeight - view.scrollTop - view.clientHeight < NEAR_PX;
    });
    if (view) new ResizeObserver(() => this.#follow()).observe(view);
  }

  clear() {
    this.#follows = true;
    this.#rows.clear();
    this.#list.replaceChildren();
  }

  /** A segment as the transcript tells it: {segment, role, speaker, text, final, at, unheard?, interrupted?}. */
  say(said) {
    const row = this.#row(said);
    Object.assign(row.said, said);
    if (said.final && !said.text && !said.unheard && row.tools.size === 0) {
      row.element.remove(); // it was no speech after all
      this.#rows.delete(said.segment);
    } else this.#show(row);
  }

  /** A tool of the answer that is being given, or was given last: {execution, tool, status, at?, seconds?}. */
  tool(call) {
    const row = this.#lastOf("agent") ?? this.#row({ segment: `tools-${call.execution}`, role: "agent", text: "" });
    row.tools.set(call.execution, { ...row.tools.get(call.execution), ...call });
    this.#show(row);
  }

  /** The session is over: nothing grows any more. */
  settle() {
    for (const [segment, row] of [...this.#rows]) {
      if (row.said.final !== false) continue;
      if (row.said.role === "agent") this.say({ ...row.said, final: true });
      else {
        row.element.remove();
        this.#rows.delete(segment);
      }
    }
  }

  #row(said) {
    const known = this.#rows.get(said.segment) ?? this.#adopted(said);
    if (known) return known;
    const row = { said: { ...said }, tools: new Map(), element: h("li", { "data-segment": said.segment }) };
    this.#rows.set(said.segment, row);
    return row;
  }

  /** The row of a tool that ran before the first word of its answer becomes the answer's. */
  #adopted({ segment, role }) {
    const row = role === "agent" ? this.#lastOf("agent") : null;
    if (!row || row.said.text || row.tools.size === 0) return null;
    this.#rows.delete(row.said.segment);
    this.#rows.set(segment, row);
    row.element.dataset.segment = segment;
    return row;
  }

  #lastOf(role) {
    const row = [...this.#rows.values()].find(({ element }) => element === this.#list.lastElementChild);
    return row?.said.role === role ? row : null;
  }

  /** Draw a row; the view goes along when its end was in sight. */
  #show(row) {
    this.#draw(row);
    if (!row.element.parentNode) this.#list.insertBefore(row.element, this.#after(row.said.segment));
    this.#follow();
  }

  #follow() {
    if (this.#view && this.#follows) this.#view.scrollTop = this.#view.scrollHeight;
  }

  /** The row before which a segment stands: they are numbered in the order in which people began to speak. */
  #after(segment) {
    const later = ({ said }) => Number.isInteger(segment) && Number.isInteger(said.segment) && said.segment > segment;
    return [...this.#rows.values()].filter(later).sort((a, b) => a.said.segment - b.said.segment)[0]?.element ?? null;
  }

  #draw({ said, tools, element }) {
    const isAgent = said.role === "agent";
    const isInterim = said.final === false;
    const name = isAgent ? this.#agent : said.speaker || this.#me;
    element.className = isAgent ? "reply" : "";
    element.toggleAttribute("data-interim", isInterim);
    if (isInterim) element.setAttribute("aria-hidden", "true"); // said once, when it does not change any more
    else element.removeAttribute("aria-hidden");
    const line = h("p", { class: isInterim && !isAgent ? "interim" : null }, plain(said.text));
    if (said.unheard) line.append(SIGN.test(said.unheard) ? "" : " ", h("span", { class: "unsaid" }, plain(said.unheard)));
    if (isInterim && isAgent) line.append(h("span", { class: "caret", "aria-hidden": "true" }));
    if (said.interrupted) line.append(h("small", {}, interruption(said)));
    for (const call of tools.values()) line.append(toolLine(call));
    const by = h("span", { class: "by", title: said.at ? exact(said.at) : null }, name);
    element.replaceChildren(by, line);
  }
}

/** Without the marks of Markdown that nobody reads aloud. Elsewhere the same signs are words: `2 * 3`, `SOME_NAME`. */
const plain = (text) =>
  text
    .trim()
    .replace(/!?\[([^\]]*)\]\([^)\s]*\)/g, "$1")
    .replace(/^ {0,3}(?:#{1,6}|>)\s+/gm, "")
    .replace(/(^|[\s([{"'])(?:[*_`]{1,3}|~~)(?=[^\s*_`])/gm, "$1")
    .replace(/(?<=[^\s*_`])(?:[*_`]{1,3}|~~)(?=$|[\s)\]}"'.,:;!?])/gm, "");

function interruption({ heard_seconds: seconds, unheard }) {
  const after = typeof seconds === "number" ? `interrupted after ${took(seconds)}` : "interrupted";
  return unheard ? `${after}; the struck words were not heard` : after;
}

const SIGNS = { done: "check", failed: "error", running: "clock", refused: "cross", unknown: "error" };
const OUTCOMES = { failed: " failed", refused: " refused", unknown: " outcome unknown" };

function toolLine({ tool, status, at, seconds }) {
  const parts = [icon(SIGNS[status] ?? "check"), " ", h("span", { class: "mono" }, tool)];
  if (seconds > 0) parts.push(` ${took(seconds)}`);
  else if (status === "running") parts.push(" …");
  if (OUTCOMES[status]) parts.push(OUTCOMES[status]);
  return h("small", { title: at ? exact(at) : null }, ...parts);
}
