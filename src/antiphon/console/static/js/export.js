// A conversation as a file: Markdown for people, JSON for programs. Read page by page, made in this browser.

import { all } from "./api.js";
import { h } from "./dom.js";
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

/** Read the conversation and hand it to the browser as a download. `form` is markdown or json. */
export async function download(api, { key, title }, form) {
  const messages = await messagesOf(api, key);
  const text =
    form === "json" ? JSON.stringify({ key, title, exported_at: new Date().toISOString(), messages }, null, 2) : markdown(title, messages);
  const type = form === "json" ? "application/json" : "text/markdown";
  const url = URL.createObjectURL(new Blob([text], { type }));
  const name = title.replace(/[^\p{L}\p{N} _-]+/gu, "").trim().slice(0, 60) || "conversation";
  const link = h("a", { href: url, download: `${name}.${form === "json" ? "json" : "md"}` });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
