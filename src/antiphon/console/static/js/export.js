// Files to take along. A conversation is made into one in this browser, from what is read page by page: Markdown for
// people, JSON for programs. The file of a thread, for another system, comes from the server.

import { all } from "./api.js";
import { h } from "./dom.js";
import { attempt } from "./shell.js";
import { exact } from "./times.js";

const PAGES = 200; // of 100 messages

/** Every message of a channel, oldest first. */
async function messagesOf(api, key) {
  return (await all(api, `/api/channels/${encodeURIComponent(key)}/messages?limit=100`, PAGES)).reverse();
}

function markdown(title, messages) {
  const parts = messages.map((item) => {
    const files = (item.attachments ?? []).map((file) => `\n\n*File: ${file.name}*`).join("");
    return `**${item.name}**, ${exact(item.at)}\n\n${item.text}${files}`;
  });
  return `# ${title}\n\n${parts.join("\n\n---\n\n")}\n`;
}

/** The file of a thread, which another system takes in. Resolves to whether it came. */
export async function downloadThread(api, id) {
  const file = await attempt(() => api.file("GET", `/api/threads/${id}/export`));
  if (file) save(file);
  return Boolean(file);
}

/** Read the conversation and hand it to the browser as a download. `form` is markdown or json. */
export async function download(api, { key, title }, form) {
  const messages = await messagesOf(api, key);
  const text =
    form === "json" ? JSON.stringify({ key, title, exported_at: new Date().toISOString(), messages }, null, 2) : markdown(title, messages);
  const type = form === "json" ? "application/json" : "text/markdown";
  const name = title.replace(/[^\p{L}\p{N} _-]+/gu, "").trim().slice(0, 60) || "conversation";
  save({ name: `${name}.${form === "json" ? "json" : "md"}`, blob: new Blob([text], { type }) });
}

/** Hand a file to the browser as a download. */
export function save({ name, blob }) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
