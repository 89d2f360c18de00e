// The elements of the log: what somebody said, what the agent did, what is on its way.

import { copy, errorCard, h, icon } from "./dom.js";
import { fileUrl, isPicture, sizeOf } from "./files.js";
import { render } from "./markdown.js";
import { initials } from "./shell.js";
import { clock, clockWithSeconds, exact, left, took } from "./times.js";

const TOOL_ICONS = { started: "thinking", ok: "check", failed: "error", denied: "cross", unknown: "error" };
const TOOL_WORDS = { failed: "failed", denied: "refused", unknown: "outcome unknown" };

function time(at) {
  return h("time", { datetime: at, title: exact(at) }, clock(at));
}

function frame(kind, name, badge, ...header) {
  return h(
    "section",
    { class: `msg ${kind}`, "aria-label": name },
    h("span", { class: kind === "reply" ? "who agent" : "who", "aria-hidden": "true" }, badge),
    h("header", {}, h("b", {}, name), ...header),
  );
}

/** A stored message of a person. */
export function call(item) {
  const element = frame("call", item.name, initials(item.name), time(item.at));
  if (item.text) element.append(h("div", { class: "said" }, item.text));
  element.append(...attachments(item));
  return element;
}

/** A stored message of the agent. `actions`: {feedback(item, value), rated(item)}; none where it is only read. */
export function reply(item, actions) {
  const element = frame(
    "reply",
    item.name,
    "A",
    time(item.at),
    item.interrupted ? h("span", {}, "stopped here") : null,
  );
  const said = h("div", { class: "said" });
  said.append(render(item.text));
  element.append(said, ...attachments(item));
  const button = (name, label, onclick, pressed) =>
    h(
      "button",
      { type: "button", class: "btn quiet icon", "aria-label": label, title: label, "aria-pressed": pressed, onclick },
      icon(name),
    );
  const row = h("div", { class: "acts", role: "group", "aria-label": "About this answer" });
  if (item.id && actions.rated) {
    const rated = actions.rated(item);
    const rate = (value) => () => actions.feedback(item, value);
    row.append(
      button("good", "Good answer", rate(1), String(rated === 1)),
      button("poor", "Poor answer", rate(-1), String(rated === -1)),
    );
  }
  row.append(button("copy", "Copy", () => copy(item.text)));
  if (item.task && actions.rated) {
    const label = "How this answer came about";
    const kind = { href: `/tasks/${item.task}`, class: "btn quiet icon", "aria-label": label, title: label };
    row.append(h("a", kind, icon("tasks")));
  }
  row.removeAttribute("role"); // Pico joins the buttons of a group
  element.append(row);
  return element;
}

function attachments(item) {
  const files = item.attachments ?? [];
  if (!files.length) return [];
  return [h("ul", { class: "plain files" }, ...files.map((file) => h("li", {}, attachment(file))))];
}

/** A picture is shown, anything else is a link to the file. */
function attachment(file) {
  const label = `${file.name}, ${sizeOf(file.size)}`;
  const content = isPicture(file)
    ? h("img", { src: fileUrl(file), alt: file.name, loading: "lazy", decoding: "async" })
    : h("span", { class: "row" }, icon("file"), h("span", { class: "cut" }, file.name), h("small", {}, sizeOf(file.size)));
  return h("a", { href: fileUrl(file), target: "_blank", rel: "noopener noreferrer", title: label }, content);
}

/** An answer that is still growing. `update(text)` draws at most once per frame. */
export class Growing {
  #said = h("div", { class: "said" });
  #state = h("span");
  #text = "";
  #drawn = null;

  constructor(name) {
    this.element = frame("reply", name, "A", this.#state);
    this.element.append(this.#said);
  }

  update(text) {
    this.#text = text;
    this.#state.textContent = text ? "writing" : "thinking";
    if (text === this.#drawn || this.#said.dataset.due) return;
    this.#said.dataset.due = "yes";
    requestAnimationFrame(() => {
      delete this.#said.dataset.due;
      this.#drawn = this.#text;
      const caret = h("span", { class: "caret", "aria-hidden": "true" });
      const fragment = render(this.#text);
      (fragment.lastElementChild?.matches("p") ? fragment.lastElementChild : fragment).append(caret);
      this.#said.replaceChildren(fragment);
    });
  }
}

/** One row for what a tool did: {execution, tool, status, summary, seconds}. */
export function toolRow(row) {
  const word = TOOL_WORDS[row.status];
  const element = h(
    "details",
    { class: "tool", "data-status": row.status },
    h(
      "summary",
      {},
      icon(TOOL_ICONS[row.status] ?? "check"),
      h("span", { class: "name" }, row.tool),
      h("span", { class: "cut" }, row.summary || row.result || ""),
      h("span", { class: "push num" }, row.status === "started" ? "working" : took(row.seconds ?? 0)),
      icon("more"),
    ),
  );
  const list = h("dl");
  list.append(h("dt", {}, "state"), h("dd", {}, word ?? (row.status === "started" ? "working" : "done")));
  if (row.summary) list.append(h("dt", {}, "said"), h("dd", {}, row.summary));
  for (const [label, value] of [
    ["asked", row.arguments],
    ["gave", row.result],
  ]) {
    const text = typeof value === "string" ? value : value && JSON.stringify(value);
    if (text && text !== "{}") list.append(h("dt", {}, label), h("dd", {}, text));
  }
  element.append(list);
  return element;
}

/** A message that the server has not accepted yet. `actions`: {retry(), takeBack(id), signIn}. */
export function pending(entry, name, actions) {
  const element = frame("call", name, initials(name), h("span", {}, entry.error ? "not sent yet" : "sending"));
  element.dataset.pending = entry.id;
  if (entry.text) element.append(h("div", { class: "said" }, entry.text));
  element.append(...attachments({ attachments: entry.files }));
  if (entry.error) element.append(trouble(entry, actions));
  return element;
}

function trouble({ id, error, until }, actions) {
  const button = (name, label, onclick) => h("button", { type: "button", class: "btn", onclick }, icon(name), label);
  const back = button("pen", "Take it back", () => actions.takeBack(id));
  const kept = "Your message is safe in this browser, also over a reload.";
  if (error.status === 401) {
    const signIn = h("a", { class: "btn primary", href: actions.signIn }, "Sign in again");
    return errorCard({
      title: "You are signed out",
      happened: "The server does not know this session any more.",
      kept,
      now: "Sign in again; then it goes out by itself.",
      actions: [signIn, back],
    });
  }
  const now = h("span", { class: "num", "data-until": until }, countdown(until));
  const again = button("again", "Try now", actions.retry);
  // Without any connection a card over the log says so already.
  if (error.status === 0) return h("div", { class: "row wrap unsent" }, h("span", {}, kept, " ", now), again, back);
  const title = error.status === 429 ? "A little too fast" : "The server cannot take it now";
  return errorCard({ title, happened: error.message, kept, now, actions: [again, back] });
}

/** "It goes out by itself in 0:04." Called again each second by the page for everything with data-until. */
export function countdown(until) {
  const rest = left(until);
  return rest ? `It goes out by itself in ${rest}.` : "Trying now.";
}

/** What is said when a task came to nothing: {id, state, error}. */
export function failed(task, retry) {
  const again = h("button", { type: "button", class: "btn", onclick: retry }, icon("again"), "Try again");
  if (task.state === "cancelled")
    return h("div", { class: "row stopped", "data-task": task.id }, "You stopped this one.", again);
  const card = errorCard({
    title: "This one went wrong",
    happened: task.error?.message || "The agent gave up.",
    kept: "Your message, and everything before it.",
    now: "Try again; or say it in other words.",
    actions: [again],
  });
  card.dataset.task = task.id;
  return card;
}

/** The card over the log while the live connection is gone. */
export function connectionLost({ since, until, retry }) {
  return errorCard({
    title: "The connection dropped",
    happened: navigator.onLine ? "The server does not answer." : "This device is offline.",
    kept: `Everything up to ${clockWithSeconds(since)}; you may go on writing.`,
    now: h("span", { class: "num", "data-again": until }, retryText(until)),
    actions: [h("button", { type: "button", class: "btn", onclick: retry }, icon("again"), "Try now")],
  });
}

export function retryText(until) {
  const rest = left(until);
  return rest ? `Trying again in ${rest}.` : "Trying again.";
}
