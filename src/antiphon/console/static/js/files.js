// The files that go with the next message: by picker, paste or drop. Each is uploaded at once and kept with the draft.

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
  #entries = []; // {key, name, size, id?, media_type?, error?, file?}

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

  get busy() {
    return this.#entries.some((entry) => !entry.id && !entry.error);
  }
  get ready() {
    return this.#entries.filter((entry) => entry.id).map(({ id, name, size, media_type }) => ({ id, name, size, media_type }));
  }

  /** Show the files of a conversation's draft. */
  open(channel) {
    this.#channel = channel;
    this.#entries = this.#keep.get(`files:${channel}`, []);
    this.#draw();
  }

  add(files) {
    for (const file of files) {
      if (this.#entries.length >= MOST) break;
      const entry = { key: newId(), name: file.name || "pasted file", size: file.size, file };
      this.#entries.push(entry);
      this.#upload(entry, this.#channel);
    }
    this.#draw();
  }

  /** They went out with a message, or come back with one that was not taken. */
  replace(files) {
    this.#entries = files.map((file) => ({ key: file.id, ...file }));
    this.#save();
    this.#draw();
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
    if (channel !== this.#channel) return;
    this.#save();
    this.#draw();
  }

  #remove(entry) {
    this.#entries = this.#entries.filter((one) => one !== entry);
    if (entry.id) this.#api.delete(`/api/attachments/${entry.id}`).catch(() => {}); // else it goes within a day
    this.#save();
    this.#draw();
    byId("say").focus();
  }

  #save() {
    this.#keep.set(`files:${this.#channel}`, this.#entries.filter((entry) => entry.id));
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
