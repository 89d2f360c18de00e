// The card of a durable question: may the agent do this? It shows who asked for what, counts down, and keeps the
// decision visible. Expiry, single use and who may answer are the server's business; the card only tells.

import { facts, h, icon } from "./dom.js";
import { clock, left } from "./times.js";

const RESULTS = {
  approved: ["check", "good", "Allowed"],
  consumed: ["check", "good", "Allowed and done"],
  denied: ["cross", "bad", "Refused"],
  expired: ["clock", "", "Ran out, so it was refused"],
  cancelled: ["cross", "", "Not needed any more"],
};

/** Whether a person still has to answer. */
export const open = (approval) => approval.state === "pending" && left(approval.expires) !== null;

/** `approval`: {id, state, summary, tool, expires, arguments?, decided_at?}; `decide(approval, "approve"|"deny")`. */
export function approvalCard(approval, decide) {
  const isOpen = open(approval);
  const titleId = `approval-${approval.id}`;
  const title = h("h3", { id: titleId }, question(approval.summary));
  const card = h(
    "section",
    { class: isOpen ? "card ask" : "card decided", "aria-labelledby": titleId, "data-approval": approval.id },
    h("header", { class: "row" }, icon("waiting"), title, isOpen ? needsYou() : result(approval)),
  );
  if (!isOpen) return card;
  const argumentPairs = Object.entries(approval.arguments ?? {}).map(([name, value]) => [
    name.replaceAll("_", " "),
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  card.append(
    facts([
      ["Tool", h("span", { class: "mono" }, approval.tool)],
      ["Asked by", "you, in this conversation"],
      ...argumentPairs,
      ["Who may answer", "you"],
    ]),
    buttons(approval, decide),
  );
  return card;
}

const needsYou = () => h("span", { class: "chip risk hide-phone" }, "needs your word");

function question(summary) {
  const text = (summary || "May I do this?").trim();
  return /[?!.]$/.test(text) ? text : `${text}?`;
}

function buttons(approval, decide) {
  const button = (kind, name, label, verb) =>
    h(
      "button",
      {
        type: "button",
        class: `btn ${kind}`,
        disabled: Boolean(approval.deciding),
        onclick: () => decide(approval, verb),
      },
      icon(name),
      label,
    );
  return h(
    "div",
    { class: "row wrap" },
    button("call", "check", "Allow once", "approve"),
    button("", "cross", "Refuse", "deny"),
    h(
      "span",
      { class: "muted small push num" },
      icon("clock"),
      h("span", { "data-expires": approval.expires }, expiry(approval.expires)),
    ),
  );
}

/** "9:12 left, then it is refused". Called again each second by the page for everything with data-expires. */
export function expiry(expires) {
  const rest = left(expires);
  return rest ? `${rest} left, then it is refused` : "ran out";
}

function result(approval) {
  const [name, tone, words] = RESULTS[approval.state] ?? RESULTS.expired;
  const at = approval.decided_at ? ` at ${clock(approval.decided_at)}` : "";
  return h("span", { class: `chip ${tone}` }, icon(name), words + at);
}
