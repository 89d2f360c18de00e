// The files that go with the next message: by picker, paste or drop. Each is uploaded at once and kept with the draft of
// its conversation, also when another one is open by the time it has arrived.

import { ApiError } from "./api.js";
import { button, byId, h, icon } from "./dom.js";
import { newId } from "./keep.js";
import { apiUrl } from "./server.js";

const MOST = 10;

/** A size as people read it. */
export function sizeOf(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  return bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} kB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

export const isPicture = ({ media_type }) => /^image\/(png|jpeg|gif|webp)$/.test(media_type ?? "");
export const fileUrl = ({ id }) => apiUrl(`/api/attachments/${id}`);

export class Files {
  #api;
  #keep;
  #tray = byId("files");
  #channel = "";
  #drafts = new Map(); // channel -> [{key, name, size, id?, media_type?, error?, file?}]

  constructor({ api, keep }) {
    this.#api = api;
    this.#keep = keep;
    const picker = byId("pick");
    byId("attach").addEventListener("click", () => picker.click());
    picker.addEventListener("change", () => {
      this.add(picker.files);
      picker.value = "";
    });
    byId("say").addEventListener("paste", (event) => {
      if (!event.clipboardData.files.length) return;
      event.preventDefault();
      this.add(event.clipboardData.files);
    });
    this.#listenForDrops(document.querySelector(".talkpane"));
  }

  get #entries() {
    return this.#of(this.#channel);
  }
  get busy() {
    return this.#entries.some((entry) => !entry.id && !entry.error);
  }
  get ready() {
    return this.#entries.filter((entry) => entry.id).map(({ id, name, size, media_type }) => ({ id, name, size, media_type }));
  }

  /** Show the files of a conversation's draft; those that came before the first was open go with it. */
  open(channel) {
    const early = this.#channel ? [] : this.#entries;
    this.#channel = channel;
    this.#drafts.delete("");
    if (this.#entries.every((entry) => entry.id)) this.#drafts.delete(channel); // another tab may know better
    for (const entry of early) {
      this.#entries.push(entry);
      this.#upload(entry, channel);
    }
    this.#draw();
  }

  add(files) {
    for (const file of files) {
      if (this.#entries.length >= MOST) break;
      const entry = { key: newId(), name: file.name || "pasted file", size: file.size, file };
      this.#entries.push(entry);
      if (this.#channel) this.#upload(entry, this.#channel);
    }
    this.#draw();
  }

  /** Those that go out with a message. */
  take() {
    const files = this.ready;
    this.#put(this.#channel, []);
    return files;
  }

  /** They come back with a message that was not taken, in front of what is there. */
  giveBack(channel, files) {
    this.#put(channel, [...files.map((file) => ({ key: file.id, ...file })), ...this.#of(channel)]);
  }

  async #upload(entry, channel) {
    delete entry.error;
    this.#draw();
    try {
      const query = new URLSearchParams({ name: entry.name });
      const kept = await this.#api.upload(`/api/channels/${encodeURIComponent(channel)}/attachments?${query}`, entry.file);
      Object.assign(entry, kept);
      delete entry.file;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      entry.error = Object.values(error.fields)[0] ?? error.message;
    }
    if (this.#of(channel).includes(entry)) this.#put(channel, this.#of(channel));
    else if (entry.id) this.#discard(entry); // left out while it was on its way
  }

  #remove(entry) {
    if (entry.id) this.#discard(entry);
    this.#put(this.#channel, this.#entries.filter((one) => one !== entry));
    byId("say").focus();
  }

  #discard(entry) {
    this.#api.delete(`/api/attachments/${entry.id}`).catch(() => {}); // else it goes within a day
  }

  /** The files of a draft: as this page has them, or as an earlier one kept them. */
  #of(channel) {
    if (!this.#drafts.has(channel)) this.#drafts.set(channel, channel ? this.#keep.get(`files:${channel}`, []) : []);
    return this.#drafts.get(channel);
  }

  #put(channel, entries) {
    this.#drafts.set(channel, entries);
    this.#keep.set(`files:${channel}`, entries.filter((entry) => entry.id));
    if (channel === this.#channel) this.#draw();
  }

  #draw() {
    this.#tray.hidden = this.#entries.length === 0;
    this.#tray.replaceChildren(...this.#entries.map((entry) => this.#row(entry)));
  }

  #row(entry) {
    const state = entry.error ?? (entry.id ? sizeOf(entry.size) : "uploading");
    return h(
      "li",
      { class: entry.error ? "bad" : "" },
      entry.id && isPicture(entry) ? h("img", { src: fileUrl(entry), alt: "" }) : icon(entry.error ? "error" : "file"),
      h("span", { class: "cut" }, entry.name, h("small", {}, state)),
      entry.error && entry.file
        ? button("again", "", () => this.#upload(entry, this.#channel), { kind: "quiet", label: `Upload ${entry.name} again` })
        : null,
      button("cross", "", () => this.#remove(entry), { kind: "quiet", label: `Leave ${entry.name} out` }),
    );
  }

  #listenForDrops(pane) {
    let depth = 0; // entering a child fires before leaving its parent
    const over = (isOver) => pane.toggleAttribute("data-drop", isOver);
    const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
    pane.addEventListener("dragenter", (event) => {
      if (!holdsFiles(event)) return;
      depth += 1;
      over(true);
    });
    pane.addEventListener("dragleave", () => {
      depth = Math.max(0, depth - 1);
      if (depth === 0) over(false);
    });
    pane.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
    pane.addEventListener("drop", (event) => {
      depth = 0;
      over(false);
      if (!holdsFiles(event)) return;
      event.preventDefault();
      this.add(event.dataTransfer.files);
    });
  }
}
