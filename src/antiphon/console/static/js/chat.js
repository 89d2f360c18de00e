// The chat page: starts everything, connects the parts, and decides what is shown when something changes.

import { all, ApiError } from "./api.js";
import { About } from "./about.js";
import { expiry } from "./approvals.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { Conversations, titleOf } from "./conversations.js";
import { askForm } from "./dialog.js";
import { byId, errorCard, h, toast } from "./dom.js";
import { download } from "./export.js";
import { Files } from "./files.js";
import { newId } from "./keep.js";
import { Log } from "./log.js";
import { connectionLost, countdown, retryText } from "./messages.js";
import { Announcer, showPresence } from "./presence.js";
import { Proposals } from "./proposals.js";
import { attempt, notice, signInAgain, start } from "./shell.js";
import { zone } from "./times.js";

const LOST_AFTER_MS = 1500; // a shorter gap is not worth a card
const SLOW_AFTER_MS = 300;
const NEAR_THE_TOP_PX = 300;

class Page {
  #announcer = new Announcer();
  #visit;
  #api;
  #keep;
  #conversation = null;
  #conversations;
  #composer;
  #about;
  #log;
  #ratings;
  #rated = {}; // on this page: newer than what is read meanwhile
  #rating = Promise.resolve(); // one opinion after the other, or the earlier one could count
  #proposals;
  #openedAt = 0;
  #drawDue = false;
  name = "you";

  async start() {
    this.#visit = await start({
      ownConnectionCard: () => true,
      onSignedOut: () => showPresence("error", "Signed out"),
      onFailed: () => showPresence("error"),
      unsent: () => this.#conversation?.entries.length ?? 0,
      beforeLeaving: () => this.#leave(),
    });
    if (!this.#visit) return;
    this.#api = this.#visit.api;
    this.#keep = this.#visit.keep;
    this.name = this.#visit.me.name;
    this.#setZone(this.#visit.me);
    this.#ratings = this.#keep.get("ratings", {});
    all(this.#api, "/api/feedback", 4).then(
      (opinions) => {
        this.#ratings = { ...Object.fromEntries(opinions.map(({ message, value }) => [message, value])), ...this.#rated };
        if (this.#conversation) this.changed();
      },
      () => {}, // what this browser remembers is shown
    );
    this.#about = new About(this.#api);
    this.#conversations = new Conversations({ api: this.#api, keep: this.#keep, onOpen: (key) => this.#go(key) });
    this.#proposals = new Proposals(this.#api, byId("proposals"), () => this.#about.refresh());
    this.#composer = new Composer({
      keep: this.#keep,
      files: new Files({ api: this.#api, keep: this.#keep }),
      limit: Number(document.body.dataset.messageChars),
      onSend: (text, files) => this.#send(text, files),
      onStop: () => this.#conversation.stop(),
      onTyping: () => this.#presence(),
    });
    this.#log = new Log({
      feedback: (item, value) => this.#feedback(item, value),
      rated: (item) => this.#ratings[item.id],
      decide: (approval, verb) => this.#decide(approval, verb),
      retryTask: (turn) => this.#conversation.retry(turn),
      retry: () => this.#conversation.hurry(),
      takeBack: (id) => this.#takeBack(id),
      get signIn() {
        return signInAgain();
      },
    });
    this.#listen();
    await this.#conversations.refresh();
    this.#route();
  }

  // --- what the open conversation tells ---

  changed() {
    if (this.#drawDue) return;
    this.#drawDue = true;
    queueMicrotask(() => {
      this.#drawDue = false;
      this.#draw();
    });
  }

  growing(turn) {
    this.#announcer.growing(turn.shown);
  }

  answered(item) {
    this.#announcer.finished(item.text);
    this.#about.refresh();
    this.#conversations.refresh();
    if (document.hidden) document.title = `● ${document.title.replace(/^● /, "")}`;
  }

  proposed() {
    this.#announcer.note("Antiphon asks whether it may remember something.");
    this.#proposals.refresh(this.#conversation.key);
  }

  waiting(approval) {
    this.#announcer.note(`Waiting for you. ${approval.summary}`);
  }

  /** The first message of a conversation was accepted. The person may be elsewhere by then. */
  created(key, text) {
    if (this.#keep.get("fresh") === key) this.#keep.set("fresh", null);
    this.#rename(text.split("\n")[0].slice(0, 60), key);
  }

  failed(error) {
    toast(error.message, "error");
  }

  /** A message that can never be accepted goes back into the field of its conversation, open or not. */
  refused(key, entry, error) {
    this.#composer.giveBack(key, entry.text, entry.files);
    const tooLong = error.status === 413;
    const isHere = key === this.#conversation.key;
    notice(
      errorCard({
        title: tooLong ? "This message is too long" : "The server did not take this message",
        happened: Object.values(error.fields)[0] || error.message,
        kept: isHere
          ? "Your words are back in the field below."
          : `Your words are back in the field of “${titleOf(this.#conversations.find(key) ?? {})}”.`,
        now: tooLong ? "Make it shorter, or send it in parts." : "Change it and send it again.",
      }),
      "refused",
    );
  }

  // --- what the person does ---

  #listen() {
    byId("new").addEventListener("click", () =>
      this.#go(this.#conversation?.empty ? this.#conversation.key : this.#newKey()),
    );
    byId("rename").addEventListener("click", () => this.#settings());
    byId("export").addEventListener("click", () => this.#export());
    byId("to-list").addEventListener("click", () => {
      history.pushState({}, "", "/");
      this.#show("list");
    });
    byId("newest").addEventListener("click", () => {
      byId("talk").scrollTop = 0;
      this.#composer.focus();
    });
    for (const button of document.querySelectorAll("[data-say]"))
      button.addEventListener("click", () => this.#send(button.dataset.say));
    byId("talk").addEventListener("scroll", () => this.#scrolled(), { passive: true });
    addEventListener("popstate", () => this.#conversation && this.#route()); // at first the start does it itself
    addEventListener("online", () => this.#conversation?.hurry());
    addEventListener("offline", () => this.changed());
    document.addEventListener("visibilitychange", () => this.#seen());
    setInterval(() => this.#tick(), 1000);
  }

  #send(text, files = []) {
    notice(null, "refused");
    byId("talk").scrollTop = 0;
    this.#conversation.send(text, files);
    this.#composer.focus();
  }

  #takeBack(id) {
    const entry = this.#conversation.takeBack(id);
    if (entry) this.#composer.giveBack(this.#conversation.key, entry.text, entry.files);
    else toast("It is on its way just now", "clock");
  }

  async #decide(approval, verb) {
    this.#composer.focus();
    await this.#conversation.decide(approval, verb);
    this.#about.refresh();
  }

  #feedback(item, value) {
    this.#rating = this.#rating.then(() => this.#rate(item, value));
  }

  async #rate(item, value) {
    try {
      await this.#api.post(`/api/messages/${item.id}/feedback`, { value });
      this.#ratings[item.id] = this.#rated[item.id] = value;
      this.#keep.set("ratings", this.#ratings);
      toast("Thank you, noted", "check", value < 0 ? { label: "Say what is right", run: () => this.#correct(item) } : null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast(error.message, "error");
    }
    this.changed();
  }

  /** What would have been right: kept with the opinion, and heeded the next time. */
  async #correct(item) {
    const answer = await askForm({
      title: "What would be right?",
      text: "It is kept with your opinion and heeded the next time something like it is asked.",
      yes: "Keep it",
      fields: [{ name: "text", label: "In your words", type: "textarea", maxlength: 2000, required: true }],
    });
    if (answer?.text)
      await attempt(() => this.#api.post(`/api/messages/${item.id}/feedback`, { value: -1, ...answer }), "Kept");
    this.#composer.focus();
  }

  async #export() {
    const { key, exists } = this.#conversation ?? {};
    if (!exists) {
      toast("There is nothing to export yet", "download");
      return;
    }
    const options = [
      ["markdown", "Markdown, to read"],
      ["json", "JSON, for programs"],
    ];
    const title = titleOf(this.#conversations.find(key) ?? {});
    const fields = [{ name: "form", label: "As", options, value: "markdown" }];
    const answer = await askForm({ title: "Export this conversation", yes: "Export", fields });
    if (answer) await attempt(() => download(this.#api, { key, title }, answer.form), "Exported");
  }

  /** Its name, and what the agent is told about its role in it. */
  async #settings() {
    const { key, exists } = this.#conversation ?? {};
    if (!exists) {
      toast("Say something first; then it can have a name", "pen");
      return;
    }
    const path = `/api/channels/${encodeURIComponent(key)}/settings`;
    const now = await attempt(() => this.#api.get(path));
    if (!now || key !== this.#conversation.key) return;
    const name = titleOf(this.#conversations.find(key) ?? {});
    const hint = "What Antiphon is told about its role here, as in “You help with the harbour’s boats”.";
    const fields = [
      { name: "name", label: "Name", value: name },
      { name: "persona", label: "Persona", type: "textarea", value: now.persona, maxlength: 8000, hint },
    ];
    const answer = await askForm({ title: "This conversation", yes: "Save", fields });
    if (answer?.name && answer.name !== name) await this.#rename(answer.name, key);
    if (answer && answer.persona !== now.persona)
      await attempt(() => this.#api.patch(path, { persona: answer.persona }), "Saved, in effect now");
    this.#composer.focus();
  }

  async #rename(title, key) {
    try {
      await this.#api.patch(`/api/channels/${encodeURIComponent(key)}`, { title });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast(error.message, "error");
    }
    await this.#conversations.refresh();
    this.changed();
  }

  #leave() {
    this.#conversation?.close();
    this.#composer?.close();
  }

  // --- where the person is ---

  /** Open what the address says. */
  #route() {
    const path = decodeURIComponent(location.pathname);
    const key = path.startsWith("/c/") ? path.slice(3) : "";
    if (key) {
      this.#open(key);
      this.#show("talk");
      return;
    }
    const newest = this.#conversations.first;
    this.#open(newest ?? this.#newKey());
    if (!newest) history.replaceState({}, "", `/c/${this.#conversation.key}`);
    this.#show(newest ? "list" : "talk"); // wide screens show both
  }

  #go(key) {
    if (location.pathname !== `/c/${key}`) history.pushState({}, "", `/c/${key}`);
    this.#open(key);
    this.#show("talk");
    this.#composer.focus();
  }

  #open(key) {
    if (this.#conversation?.key === key) return;
    this.#conversation?.close();
    this.#log.clear();
    notice(null);
    byId("talk").scrollTop = 0;
    this.#conversation = new Conversation(key, {
      api: this.#api,
      keep: this.#keep,
      page: this,
      isNew: this.#keep.get("fresh") === key,
    });
    this.#conversations.select(key);
    this.#composer.open(key);
    this.#openedAt = Date.now();
    setTimeout(() => this.changed(), SLOW_AFTER_MS);
    this.#conversation.open();
    this.#proposals.refresh(key);
    this.#about.refresh();
    if (matchMedia("(pointer: fine)").matches) this.#composer.focus();
  }

  /** The key of a conversation that only this browser knows until its first message. */
  #newKey() {
    const key = `web:${newId()}`;
    this.#keep.set("fresh", key);
    return key;
  }

  #show(view) {
    document.body.dataset.view = view;
  }

  #seen() {
    if (document.hidden) return;
    document.title = document.title.replace(/^● /, "");
    this.#conversation?.hurry();
    this.#conversation?.refresh();
    this.#conversations.refresh();
    this.#about.refresh();
  }

  async #scrolled() {
    const talk = byId("talk"); // laid out from the bottom: scrollTop is 0 there and negative above
    byId("newest").hidden = talk.scrollTop > -200;
    if (talk.scrollHeight - talk.clientHeight + talk.scrollTop < NEAR_THE_TOP_PX) await this.#conversation.readOlder();
  }

  // --- what is seen ---

  #draw() {
    const conversation = this.#conversation;
    if (!conversation) return; // still starting
    const { turns, messages, entries, loaded, broken } = conversation;
    this.#log.draw({ messages, turns, entries, name: this.name });
    byId("empty").hidden = !conversation.empty;
    document.body.toggleAttribute("data-empty", conversation.empty);
    byId("loading").hidden = loaded || broken || Date.now() - this.#openedAt < SLOW_AFTER_MS;
    const [first] = turns.active;
    this.#composer.running(Boolean(first), Boolean(first?.stopping));
    const title = titleOf(this.#conversations.find(conversation.key) ?? {});
    byId("title").textContent = title;
    document.title = `${document.title.startsWith("● ") ? "● " : ""}${title} · Antiphon`;
    this.#about.thread(conversation);
    this.#connection();
    this.#presence();
  }

  #presence() {
    if (!this.#conversation) return; // still starting
    const { turns, entries, approvals, lost } = this.#conversation;
    const running = turns.active.find((turn) => turn.state === "running") ?? turns.active[0];
    const newest = turns.all.toSorted((a, b) => Number(a.id) - Number(b.id)).at(-1);
    const tool = running && [...running.rows.values()].find((row) => row.status === "started");
    if (lost && Date.now() - lost.since > LOST_AFTER_MS) showPresence("error", "No connection");
    else if (approvals.length) showPresence("waiting");
    else if (running?.stopping) showPresence("thinking", "Stopping");
    else if (running?.shown) showPresence("speaking");
    else if (running) showPresence("thinking", tool ? `Thinking: ${tool.tool}` : "");
    else if (entries.some((entry) => entry.error)) showPresence("error", "A message waits to be sent");
    else if (entries.length) showPresence("thinking");
    else if (this.#composer.typing) showPresence("listening");
    else if (newest?.state === "dead") showPresence("error");
    else showPresence("idle");
  }

  #connection() {
    const { lost, broken } = this.#conversation;
    if (this.#visit.isSignedOut) return;
    const isLost = lost && Date.now() - lost.since > LOST_AFTER_MS;
    if (isLost && byId("notice").dataset.kind === "lost") {
      const text = byId("notice").querySelector("[data-again]");
      text.dataset.again = lost.until;
      text.textContent = retryText(lost.until);
    } else if (isLost) {
      notice(connectionLost({ ...lost, retry: () => this.#conversation.hurry() }), "lost");
    } else if (broken && broken.status !== 401) {
      const retry = h(
        "button",
        { type: "button", class: "btn", onclick: () => this.#conversation.refresh() },
        "Try again",
      );
      const happened = broken.message;
      const kept = "Everything that was said, and your draft.";
      notice(
        errorCard({ title: "The conversation could not be read", happened, kept, actions: [retry] }),
        "broken",
      );
    } else {
      notice(null, "lost");
      notice(null, "broken");
    }
  }

  /** Once a second: countdowns, and cards that become due. */
  #tick() {
    for (const element of document.querySelectorAll("[data-expires]"))
      element.textContent = expiry(element.dataset.expires);
    for (const element of document.querySelectorAll("[data-until]"))
      element.textContent = countdown(Number(element.dataset.until));
    if (this.#conversation?.lost || document.querySelector("[data-expires]")) this.changed();
  }

  /** At the first visit a person still has UTC: take the browser's zone. A choice made later is left alone. */
  async #setZone(me) {
    if (this.#keep.get("zone") || me.timezone !== "UTC") return;
    try {
      if (zone() !== "UTC") await this.#api.patch("/api/me", { timezone: zone() });
      this.#keep.set("zone", zone());
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // a zone the server does not know: UTC stays
    }
  }
}

new Page().start();
