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

const DECIDED = ["pending", "approved", "consumed"]; // only this way; whatever else became of it is the end

/** What is known of an approval and what was just heard of it, as one: an answer from before the decision undoes nothing. */
export function newer(known, heard) {
  const rank = ({ state }) => (DECIDED.includes(state) ? DECIDED.indexOf(state) : DECIDED.length);
  if (!known || !heard.state || rank(heard) >= rank(known)) return { ...known, ...heard };
  return { ...heard, ...known };
}

/** What the card says in a conversation of one's own, where nobody else asks or answers. */
const HERE = { askedBy: "you, in this conversation", who: "you", mayAnswer: true, place: null };

/**
 * `approval`: {id, state, summary, tool, expires, arguments?, decided_at?}; `decide(approval, "approve"|"deny")`.
 * `about`: {askedBy, who, mayAnswer, place} says who asked, who may answer, and where it comes from.
 */
export function approvalCard(approval, decide, about = HERE) {
  const isOpen = open(approval);
  const titleId = `approval-${approval.id}`;
  const title = h("h3", { id: titleId }, question(approval.summary));
  const card = h(
    "section",
    { class: isOpen ? "card ask" : "card decided", "aria-labelledby": titleId, "data-approval": approval.id },
    h("header", { class: "row" }, icon("waiting"), title, isOpen ? needsWord(about) : resultChip(approval)),
  );
  if (!isOpen) return card;
  const argumentPairs = Object.entries(approval.arguments ?? {}).map(([name, value]) => [
    name.replaceAll("_", " "),
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  card.append(
    facts([
      ["Tool", h("span", { class: "mono" }, approval.tool)],
      ["Asked by", about.askedBy],
      ["From", about.place],
      ...argumentPairs,
      ["Who may answer", about.who],
    ]),
    buttons(approval, about.mayAnswer ? decide : null),
  );
  return card;
}

const needsWord = ({ mayAnswer }) =>
  h("span", { class: "chip risk hide-phone" }, mayAnswer ? "needs your word" : "waits for someone else");

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
  const parts = [
    decide && button("call", "check", "Allow once", "approve"),
    decide && button("", "cross", "Refuse", "deny"),
    h(
      "span",
      { class: "muted small push num" },
      icon("clock"),
      h("span", { "data-expires": approval.expires }, expiry(approval.expires)),
    ),
  ];
  return h("div", { class: "row wrap" }, ...parts.filter(Boolean));
}

/** "9:12 left, then it is refused". Called again each second by the page for everything with data-expires. */
export function expiry(expires) {
  const rest = left(expires);
  return rest ? `${rest} left, then it is refused` : "ran out";
}

/** What became of it, as a chip. */
export function resultChip(approval) {
  const [name, tone, words] = RESULTS[approval.state] ?? RESULTS.expired;
  const at = approval.decided_at ? ` at ${clock(approval.decided_at)}` : "";
  return h("span", { class: `chip ${tone}` }, icon(name), words + at);
}
