// The set-up page: one card for each thing that can be connected, with its state, a test, and where it is written.

import { ApiError } from "./api.js";
import { confirmDeed } from "./dialog.js";
import { button, byId, facts, h, icon, toast } from "./dom.js";
import { Order } from "./order.js";
import { attempt, start } from "./shell.js";
import { due, exact } from "./times.js";

const OWN = "own";
const PROVIDERS = [
  { id: "openai", name: "OpenAI", key: "openai_api_key", example: "gpt-4o-mini" },
  { id: "anthropic", name: "Anthropic", key: "ANTHROPIC_API_KEY", example: "claude-sonnet-4-5" },
  { id: "google", name: "Google", key: "GOOGLE_API_KEY", example: "gemini-2.5-flash" },
  { id: "mistral", name: "Mistral", key: "MISTRAL_API_KEY", example: "mistral-small-latest" },
  { id: "groq", name: "Groq", key: "GROQ_API_KEY", example: "llama-3.3-70b-versatile" },
  { id: "openrouter", name: "OpenRouter", key: "OPENROUTER_API_KEY", example: "openai/gpt-4o-mini" },
  { id: "nvidia", name: "NVIDIA", key: "NVIDIA_API_KEY", example: "meta/llama-3.3-70b-instruct" },
  { id: "ollama", name: "Ollama on this machine", key: "", example: "llama3.2" },
  { id: "lmstudio", name: "LM Studio on this machine", key: "", example: "qwen3-8b" },
  { id: OWN, name: "Another OpenAI-compatible server", key: "openai_api_key", example: "llama3.2", url: true },
];
const WORDS = { ok: ["good", "works"], degraded: ["bad", "does not work"], off: ["", "not set up"] };
const LATER = "The token is stored now and used once that service is part of the installation; nothing is sent to it before.";

const visit = await start({ onBack: () => read() });
let tree = { items: [] };
const cards = [];

async function read() {
  const answer = await attempt(() => visit.api.get("/api/settings"));
  if (answer) tree = answer;
  return answer;
}

const setting = (key) => tree.items.find((item) => item.key === key) ?? { key, value: "", locked: "", origin: "" };
const stored = (key) => setting(key).value ?? "";

function build() {
  cards.push(
    new ModelCard(),
    new Card({
      kind: "discord",
      title: "Discord",
      text: "Make an application in Discord's developer portal, open its page Bot, and paste the token here.",
      fields: [{ name: "token", label: "Bot token", key: "discord.token", secret: true }],
      link: "Invite the bot to a server",
    }),
    new Card({
      kind: "telegram",
      title: "Telegram",
      text: "Ask @BotFather for a bot (/newbot) and paste its token here.",
      fields: [{ name: "token", label: "Bot token", key: "telegram.token", secret: true }],
      link: "Open the bot in Telegram",
      later: LATER,
    }),
    new Card({
      kind: "livekit",
      title: "LiveKit",
      text: "A LiveKit server carries live voice. Address, key and secret belong together.",
      fields: [
        { name: "url", label: "Address", key: "livekit.url", placeholder: "wss://voice.example.org" },
        { name: "key", label: "API key", key: "livekit.api_key" },
        { name: "secret", label: "API secret", key: "livekit.api_secret", secret: true },
      ],
    }),
    new Card({ kind: "speech", title: "Speech", text: "Engines that listen and speak.", fields: [] }),
    new Card({
      kind: "redis",
      title: "Events between processes",
      text: "One process needs none of it. Several need a Redis or Valkey server, and PostgreSQL.",
      fields: [{ name: "url", label: "Address", key: "redis_url", secret: true, placeholder: "redis://127.0.0.1:6379/0" }],
    }),
    new StorageCard(),
  );
  byId("cards").replaceChildren(...cards.map((card) => card.element));
  cards[0].offer();
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

/** A card: state, fields, a test, and saving. */
class Card {
  constructor(options) {
    this.options = options;
    this.tests = new Order();
    this.chip = h("span", { class: "push chip" });
    this.result = h("div", { class: "outcome", role: "status" });
    this.problem = h("p", { class: "problem small", role: "alert" });
    this.place = h("p", { class: "muted small" });
    this.controls = new Map();
    const title = h("h2", { id: `${options.kind}-title` }, options.title);
    this.buttons = h("div", { class: "row wrap" }, ...this.actions());
    this.form = h("form", { novalidate: true }, ...this.fields(), this.problem, this.buttons);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
    this.element = h(
      "section",
      { class: "card setup", id: options.kind, "aria-labelledby": title.id },
      h("header", { class: "row" }, title, this.chip),
      h("p", { class: "small muted" }, options.text),
      this.form,
      this.result,
      this.place,
    );
    this.draw();
    if (this.isSet || !options.fields?.length) this.test({ quiet: true });
  }

  get keys() {
    return (this.options.fields ?? []).map((field) => field.key);
  }
  get isSet() {
    return this.keys.some((key) => setting(key).is_set && (stored(key) !== "" || setting(key).value === null));
  }

  fields() {
    return this.options.fields.map((field) => this.field(field));
  }

  field({ name, label, key, secret, placeholder, list }) {
    const input = h("input", {
      name,
      list,
      type: secret ? "password" : "text",
      autocomplete: secret ? "new-password" : "off",
      spellcheck: "false",
      maxlength: 2000,
      placeholder,
      "aria-describedby": `${this.options.kind}-${name}-hint`,
    });
    const hint = h("small", { id: `${this.options.kind}-${name}-hint` });
    this.controls.set(name, { input, hint, key, secret, placeholder });
    return h("label", { class: "field" }, label, " ", input, hint);
  }

  actions() {
    if (!this.options.fields.length) return [button("again", "Look again", () => this.test())];
    this.remove = button("trash", "Remove", () => this.forget(), { kind: "quiet" });
    return [
      button("pulse", "Test", () => this.test()),
      h("button", { type: "submit", class: this.options.kind === "model" ? "btn primary" : "btn" }, "Save"),
      this.remove,
    ];
  }

  /** What is stored, in the fields and below. */
  draw() {
    for (const { input, hint, key, secret, placeholder } of this.controls.values()) {
      if (!key) continue;
      const item = setting(key);
      input.disabled = Boolean(item.locked);
      input.value = secret ? "" : stored(key);
      input.placeholder = secret && item.is_set ? "stored; leave empty to keep it" : (placeholder ?? "");
      hint.textContent = item.locked || (item.restart ? "A change takes effect at the next start." : "");
      hint.classList.toggle("pending", item.pending);
      if (item.pending) hint.textContent = "Changed; waits for a restart.";
    }
    if (this.remove) this.remove.hidden = !this.keys.some((key) => setting(key).here);
    this.place.textContent = this.keys.length ? this.written() : "";
    if (!this.isSet && this.options.fields?.length) this.state("off");
  }

  written() {
    const places = new Set(this.keys.map((key) => (setting(key).value === null ? tree.secrets : tree.file)));
    const from = this.keys.map(setting).filter((item) => item.is_set);
    // An origin is "FILE key", or the name of a variable: the place is enough here.
    const sources = new Set(from.map(({ origin }) => (origin.startsWith("/") ? origin.split(" ")[0] : origin)));
    const now = sources.size ? `Now from ${[...sources].join(", ")}. ` : "";
    return `${now}Saved to ${[...places].join(" and ")}.`;
  }

  state(state, word = WORDS[state][1]) {
    this.chip.className = `push chip ${WORDS[state][0]}`;
    this.chip.textContent = word;
  }

  given() {
    const values = [...this.controls].map(([name, { input }]) => [name, input.value.trim()]);
    return Object.fromEntries(values.filter(([name, value]) => value && !this.controls.get(name).input.disabled));
  }

  async test({ quiet = false } = {}) {
    this.problem.textContent = "";
    this.chip.className = "push chip think";
    this.chip.textContent = "testing";
    const isNews = this.tests.ask();
    try {
      const found = await visit.api.post("/api/setup/test", { kind: this.options.kind, given: quiet ? {} : this.given() });
      if (isNews()) this.show(found);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!isNews()) return;
      this.state(this.isSet ? "degraded" : "off", "not tested");
      this.problem.textContent = error.message;
    }
  }

  show(found) {
    this.state(found.state);
    const rows = found.facts.map(({ label, value }) => [label, value]);
    this.result.replaceChildren(
      h("p", { class: `verdict ${found.state}` }, icon({ ok: "check", degraded: "error", off: "idle" }[found.state]), h("b", {}, found.detail)),
      ...(found.remedy ? [h("p", { class: "small" }, `What to do: ${found.remedy}.`)] : []),
      ...(rows.length ? [facts(rows)] : []),
    );
    if (found.link && this.options.link) {
      const link = h("a", { class: "btn", href: found.link, target: "_blank", rel: "noopener noreferrer" }, icon("link"), this.options.link);
      this.result.append(link);
    }
  }

  values() {
    const values = {};
    for (const { input, key, secret } of this.controls.values()) {
      const value = input.value.trim();
      if (!key || input.disabled || (secret && !value)) continue;
      if (secret || value !== stored(key)) values[key] = value || null;
    }
    return values;
  }

  async save() {
    this.problem.textContent = "";
    const values = this.values();
    if (!Object.keys(values).length) return this.problem.textContent || toast("Nothing was changed", "idle");
    if (!(await this.write(values))) return;
    const waits = Object.keys(values).some((key) => setting(key).pending);
    toast(waits ? "Saved; takes effect at the next start" : "Saved, in effect now");
    this.draw();
    await this.test({ quiet: true });
    if (this.options.later) this.result.append(h("p", { class: "small muted" }, this.options.later));
  }

  async write(values) {
    try {
      tree = await visit.api.patch("/api/settings", { values });
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const problems = Object.entries(error.fields).map(([key, problem]) => `${key}: ${problem}.`);
      this.problem.textContent = [error.message, ...problems].join(" ");
      return false;
    }
  }

  async forget() {
    const text = "What the environment or the configuration file says counts again.";
    if (!(await confirmDeed({ title: `Remove ${this.options.title}?`, text, yes: "Remove it" }))) return;
    const values = Object.fromEntries(this.keys.filter((key) => setting(key).here).map((key) => [key, null]));
    if (!(await this.write(values))) return;
    toast("Removed");
    this.result.replaceChildren();
    this.draw();
  }
}

/** The language model: a provider, a name, a key or an address. */
class ModelCard extends Card {
  constructor() {
    super({
      kind: "model",
      title: "Language model",
      text: "Without one the offline model answers: time, sums, reminders, memories. Paste a key, or the address of a server of your own.",
    });
  }

  get keys() {
    return ["model", "model_url", ...(this.provider?.key ? [this.provider.key] : [])];
  }
  get isSet() {
    return Boolean(stored("model"));
  }

  /** Model servers that were found on this machine: they are offered, never used unasked. */
  async offer() {
    if (this.isSet) return;
    const health = await visit.api.get("/api/health").catch(() => ({ parts: [] }));
    const part = health.parts.find(({ name }) => name === "model");
    const [, there] = /On this machine, not used: (.*)/.exec(part?.detail ?? "") ?? [];
    if (!there || this.result.childElementCount) return; // a verdict was faster
    this.result.replaceChildren(h("p", { class: "small" }, icon("pulse"), " On this machine, not used: ", h("b", {}, there)));
  }
  get provider() {
    return PROVIDERS.find(({ id }) => id === this.choice?.value);
  }

  fields() {
    this.choice = h("select", { name: "provider" }, ...PROVIDERS.map(({ id, name }) => h("option", { value: id }, name)));
    this.choice.addEventListener("change", () => this.chosen());
    this.names = h("datalist", { id: "model-names" });
    const all = [
      h("label", { class: "field" }, "Provider ", this.choice),
      this.field({ name: "key", label: "Key", secret: true }),
      this.field({ name: "url", label: "Address", placeholder: "http://127.0.0.1:8080/v1" }),
      this.field({ name: "name", label: "Model", list: "model-names" }),
      this.names,
    ];
    const [, id, name] = /^([a-z]+):(.*)$/.exec(stored("model")) ?? [null, "openai", ""];
    this.choice.value = stored("model_url") || !PROVIDERS.some((one) => one.id === id) ? OWN : id;
    this.controls.get("name").input.value = name;
    this.controls.get("url").input.value = stored("model_url");
    return all;
  }

  actions() {
    this.options.fields = [{}];
    return super.actions();
  }

  draw() {
    super.draw();
    this.chosen();
    const locked = setting("model").locked;
    this.choice.disabled = Boolean(locked);
    for (const { input } of this.controls.values()) input.disabled = Boolean(locked);
    this.controls.get("name").hint.textContent = locked;
  }

  /** Which fields the provider needs. */
  chosen() {
    const { key, url, example } = this.provider;
    const of = (name) => this.controls.get(name);
    of("key").input.closest("label").hidden = !key;
    of("url").input.closest("label").hidden = !url;
    of("name").input.placeholder = example;
    const isStored = key && setting(key).is_set;
    of("key").input.placeholder = isStored ? "stored; leave empty to keep it" : "";
    of("key").hint.textContent = (key && setting(key).locked) || (url ? "Only if the server asks for one." : "");
    this.place.textContent = this.written();
  }

  model() {
    const name = this.controls.get("name").input.value.trim();
    return `${this.choice.value === OWN ? "openai" : this.choice.value}:${name}`;
  }

  given() {
    const { url, key } = Object.fromEntries([...this.controls].map(([name, { input }]) => [name, input.value.trim()]));
    return { model: this.model(), url: this.provider.url ? url : "", ...(key && this.provider.key ? { key } : {}) };
  }

  show(found) {
    super.show(found);
    if (found.state === "ok" && !this.controls.get("name").input.value.trim()) this.state("off", "choose a model");
    this.names.replaceChildren(...found.choices.map((name) => h("option", { value: name })));
    if (!found.choices.length) return;
    const pick = (name) => {
      this.controls.get("name").input.value = name;
      this.test();
    };
    const more = found.choices.length > 12 ? h("span", { class: "muted small" }, `and ${found.choices.length - 12} more`) : null;
    const buttons = found.choices.slice(0, 12).map((name) => h("button", { type: "button", class: "btn", onclick: () => pick(name) }, name));
    this.result.append(h("p", { class: "small muted" }, "It has these models:"), h("div", { class: "row wrap" }, ...buttons, more));
  }

  values() {
    const { url, key } = this.provider;
    const name = this.controls.get("name").input.value.trim();
    const secret = this.controls.get("key").input.value.trim();
    if (!name) {
      this.problem.textContent = "Choose a model first: test the server, it may list some.";
      this.controls.get("name").input.focus();
      return {};
    }
    const values = { model: this.model(), model_url: (url && this.controls.get("url").input.value.trim()) || null };
    if (key && secret) values[key] = secret;
    return values;
  }
}

/** The disk and the backups. */
class StorageCard extends Card {
  constructor() {
    super({ kind: "storage", title: "Storage and backup", text: "Where everything lies, and copies of it.", fields: [] });
    this.backups = h("div", {});
    this.element.append(this.backups);
    this.list();
  }

  actions() {
    return [button("again", "Look again", () => this.test()), button("download", "Make a backup now", (event) => this.make(event))];
  }

  async make(event) {
    const pressed = event.currentTarget;
    pressed.disabled = true;
    await attempt(() => visit.api.post("/api/backups"), "Backup written and verified");
    pressed.disabled = false;
    this.list();
    this.test();
  }

  async list() {
    const answer = await attempt(() => visit.api.get("/api/backups"));
    if (!answer) return;
    const size = (one) => `${(one.size / 1024).toLocaleString(undefined, { maximumFractionDigits: 0 })} KiB, `;
    const when = (at) => h("time", { datetime: at, title: exact(at) }, due(at));
    const about = (one) => h("span", { class: "push muted small num" }, size(one), when(one.made_at));
    const row = (one) => h("li", { class: "row wrap" }, h("span", { class: "mono cut" }, one.name), about(one));
    const rest = answer.items.length > 8 ? h("li", { class: "muted small" }, `and ${answer.items.length - 8} older ones`) : null;
    this.backups.replaceChildren(
      ...(answer.items.length ? [h("ul", { class: "plain backups" }, ...answer.items.slice(0, 8).map(row), rest)] : []),
      h("p", { class: "muted small" }, "Copy backups to another machine now and then. They are put back with: antiphon restore FILE"),
    );
  }
}

if (visit) {
  visit.keep.set("set-up-skipped", true); // it opens by itself once, and is found under Settings from then on
  if (await read()) build();
}
