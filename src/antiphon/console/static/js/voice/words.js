// What is said aloud, as it is said: one row for each stretch of speech. Interim words are grey and may still change; of
// an answer that was interrupted, the words nobody heard are struck. Used live and for sessions of the past.

import { h, icon } from "../dom.js";
import { exact, took } from "../times.js";

export class Words {
  #list;
  #rows = new Map(); // by segment
  #agent = "Antiphon";
  #me;

  /** `list`: an <ol class="words">. `me`: what the person is called where a segment does not say. */
  constructor(list, me) {
    this.#list = list;
    this.#me = me;
  }

  get isEmpty() {
    return this.#rows.size === 0;
  }

  clear() {
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
    } else this.#draw(row);
  }

  /** A tool of the answer that is being given: {execution, tool, status, seconds?}. */
  tool(call) {
    const row = this.#lastOf("agent") ?? this.#row({ segment: `tools-${call.execution}`, role: "agent", text: "" });
    row.tools.set(call.execution, { ...row.tools.get(call.execution), ...call });
    this.#draw(row);
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
    const near = this.#list.scrollHeight;
    this.#list.append(row.element);
    if (this.#list.scrollHeight !== near) row.element.scrollIntoView({ block: "nearest" });
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
    const row = [...this.#rows.values()].at(-1);
    return row?.said.role === role ? row : null;
  }

  #draw({ said, tools, element }) {
    const isAgent = said.role === "agent";
    const name = isAgent ? this.#agent : said.speaker || this.#me;
    element.className = isAgent ? "reply" : "";
    element.toggleAttribute("data-interim", said.final === false);
    if (said.final === false && !isAgent) element.setAttribute("aria-hidden", "true");
    else element.removeAttribute("aria-hidden");
    const line = h("p", { class: said.final === false && !isAgent ? "interim" : null }, plain(said.text));
    if (said.unheard) line.append(" ", h("span", { class: "unsaid" }, plain(said.unheard)));
    if (said.final === false && isAgent) line.append(h("span", { class: "caret", "aria-hidden": "true" }));
    if (said.interrupted) line.append(h("small", {}, interruption(said)));
    for (const call of tools.values()) line.append(toolLine(call));
    const by = h("span", { class: "by", title: said.at ? exact(said.at) : null }, name);
    element.replaceChildren(by, line);
  }
}

/** As it is read aloud: without the marks of Markdown. */
const plain = (text) => text.trim().replace(/!?\[([^\]]*)\]\([^)\s]*\)/g, "$1").replace(/[*_`~#>|]+/g, "");

function interruption({ heard_seconds: seconds, unheard }) {
  const after = typeof seconds === "number" ? `interrupted after ${took(seconds)}` : "interrupted";
  return unheard ? `${after}; the struck words were not heard` : after;
}

const SIGNS = { done: "check", failed: "error", running: "clock", refused: "cross" };

function toolLine({ tool, status, seconds }) {
  const parts = [icon(SIGNS[status] ?? "check"), " ", h("span", { class: "mono" }, tool)];
  if (seconds > 0) parts.push(` ${took(seconds)}`);
  else if (status === "running") parts.push(" …");
  if (status === "failed" || status === "refused") parts.push(` ${status}`);
  return h("small", {}, ...parts);
}
