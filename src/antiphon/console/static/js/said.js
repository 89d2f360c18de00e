// Words about something that was said: where, and the part of it that was looked for.

import { h } from "./dom.js";

const EXCERPT = 240;
const PLATFORMS = { web: "Web", api: "API", discord: "Discord", telegram: "Telegram" };

export const platformName = (key) => PLATFORMS[key] ?? key;

/** Where it was said, in words. */
export function placeOf({ platform, server, title, channel }) {
  const place = title || channel;
  return [platformName(platform), server, place].filter(Boolean).join(" · ");
}

/** Markdown as it may stand in one line: without its marks. */
export const plain = (text) => (text ?? "").replace(/[*_`#>|]+/g, "").trim();

export const transcriptLink = (item) => `/history/${encodeURIComponent(item.channel)}?at=${item.id}`;

/** A readable part of an item's text around the first `words`, which are marked. Texts and elements.
 *
 * What the agent says is Markdown: its marks are left out, unless they are what was looked for.
 */
export function excerpt({ text, author }, words = "") {
  const wanted = words.trim().toLowerCase();
  const bare = author === "agent" ? plain(text) : text;
  const flat = (bare.toLowerCase().includes(wanted) ? bare : text).replace(/\s+/g, " ").trim();
  const first = wanted ? flat.toLowerCase().indexOf(wanted) : -1;
  const from = first > EXCERPT / 2 ? first - EXCERPT / 3 : 0;
  const part = `${from ? "…" : ""}${flat.slice(from, from + EXCERPT)}${flat.length > from + EXCERPT ? "…" : ""}`;
  return mark(part || "(no words)", wanted);
}

/** `text` with every occurrence of `words` (lower case) marked. */
export function mark(text, words) {
  if (!words) return [text];
  const lower = text.toLowerCase();
  if (lower.length !== text.length) return [text]; // a letter whose small form is longer: nothing to count by
  const parts = [];
  let done = 0;
  for (let at = lower.indexOf(words); at >= 0; at = lower.indexOf(words, done)) {
    parts.push(text.slice(done, at), h("mark", {}, text.slice(at, at + words.length)));
    done = at + words.length;
  }
  parts.push(text.slice(done));
  return parts;
}
