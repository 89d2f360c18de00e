// What a turn was given and why it went the way it did, in words: its trace, for the task's page.

import { h } from "./dom.js";
import { fileUrl } from "./files.js";
import { took } from "./times.js";

const KINDS = {
  person: "Who asked: name, language, time zone",
  server_persona: "The persona of the server",
  channel_persona: "The persona of the conversation",
  memory: "A memory",
  correction: "What you said would have been right",
  opinion: "Your opinion of an earlier answer",
  file: "A file",
  image: "A picture",
  summary: "The summary of the thread so far",
};
const REASONS = {
  "no experts": "no language model is set up",
  understood: "the offline model understood it for sure",
  "only one": "there is only one",
  mention: "it was called by its name",
  channel: "the conversation is pinned to it",
  examples: "the message is like its examples",
  embeddings: "the meaning is near to its description",
  conversation: "it answered before in this conversation",
  judge: "the judge chose it",
  default: "nothing spoke for another one",
};
const RESULTS = {
  ok: "answered",
  left_alone: "left alone after its failures",
  key: "refused the key",
  model: "does not know the model",
  rate: "over its rate limit",
  quota: "out of credit",
  rejected: "refused the request",
  too_long: "conversation too long for it",
  server: "its server failed",
  unreachable: "not reachable",
  first_token: "did not begin in time",
  stalled: "fell silent",
  total: "took too long",
  broken: "broke off",
  garbage: "answered nothing readable",
  empty: "answered nothing",
  calls: "called tools wrongly",
  busy: "busy",
  setup: "not set up right",
};

/** The elements for a turn's trace; `channel` is where its messages stand. */
export function provenance(trace, channel) {
  const nodes = [];
  const { route, attempts = [], context = [], failures = [] } = trace;
  if (route) {
    const why = REASONS[route.by] ?? route.by;
    nodes.push(h("p", {}, h("b", {}, route.expert), ` was asked: ${why}.`));
  }
  if (attempts.length) nodes.push(table("Who was asked", ["Model", "What came of it", "First word", "Took"], attempts.map(attempt)));
  if (failures.length) nodes.push(h("p", { class: "small muted" }, `What went wrong: ${[...new Set(failures)].join("; ")}.`));
  if (context.length) {
    const tokens = context.reduce((sum, piece) => sum + (piece.tokens ?? 0), 0);
    const rows = [...pieces(context, channel), ["All of it", tokens.toLocaleString()]];
    nodes.push(table("What it was given", ["Piece", "Tokens"], rows));
  }
  return nodes;
}

function attempt({ expert, model, result, first_token, seconds, after_text }) {
  const word = RESULTS[result] ?? result;
  const name = expert === model ? expert : `${expert} (${model})`;
  return [name, after_text ? `${word}, going on with what was written` : word, first_token === null ? "" : took(first_token), took(seconds)];
}

/** A row for each piece; the messages before are one row, linked to the first of them. */
function pieces(context, channel) {
  const messages = context.filter(({ kind }) => kind === "message");
  const rows = context.filter(({ kind }) => kind !== "message").map((piece) => [named(piece), (piece.tokens ?? 0).toLocaleString()]);
  if (messages.length) {
    const tokens = messages.reduce((sum, { tokens = 0 }) => sum + tokens, 0);
    const href = `/history/${encodeURIComponent(channel)}?at=${messages[0].id}`;
    const word = messages.length === 1 ? "1 message before" : `${messages.length} messages before`;
    rows.push([h("a", { href }, word), tokens.toLocaleString()]);
  }
  return rows;
}

function named({ kind, id, note }) {
  const word = KINDS[kind] ?? kind;
  const links = { memory: "/memories", correction: "/memories", opinion: "/memories", file: fileUrl({ id }), image: fileUrl({ id }) };
  const text = links[kind] ? h("a", { href: links[kind] }, word) : word;
  return h("span", {}, text, note ? h("span", { class: "muted" }, ` · ${note}`) : null);
}

/** The last columns hold figures: two of them where there are more than two columns. */
function table(title, heads, rows) {
  const first = heads.length - (heads.length > 2 ? 2 : 1);
  const head = (word, at) => h("th", { scope: "col", class: at < first ? "" : "n" }, word);
  const cell = (value, at) => h("td", at < first ? { class: at ? "" : "text" } : { class: "n", "data-label": value && heads[at] }, value);
  return h(
    "div",
    { class: "tablebox given" },
    h(
      "table",
      {},
      h("caption", { class: "eyebrow" }, title),
      h("thead", {}, h("tr", {}, ...heads.map(head))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map(cell)))),
    ),
  );
}
