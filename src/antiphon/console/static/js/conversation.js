// One open conversation: its messages, tasks, live events and unsent words. The page tells it what the person did;
// it tells the page (`changed`) when something is to be seen.

import { ApiError, withQuery } from "./api.js";
import { open as needsAnswer } from "./approvals.js";
import { Outbox } from "./outbox.js";
import { SIGNED_OUT, Stream, UNKNOWN } from "./stream.js";
import { Turns } from "./turns.js";

const PAGE = 30;
const TASKS = 30;

export class Conversation {
  turns = new Turns();
  exists; // whether the server knows the channel; the first message creates it
  loaded = false;
  broken = null; // the error that kept the messages from being read
  lost = null; // {since, until} while the live connection is gone
  #api;
  #page;
  #isNew;
  #path;
  #messages = new Map();
  #replies = new Set();
  #older = null; // cursor of the next older page
  #paging = false;
  #stream;
  #outbox;
  #closed = false;
  #reading = null;
  #readAgain = false;
  #accepts = 0; // messages that the server took

  /**
   * `page` is told what happens: changed(), answered(item), waiting(approval), growing(turn), failed(error) of a deed;
   * and, also after this one was closed, created(key, text), refused(key, entry, error). `isNew`: made by this browser,
   * the server cannot know it yet.
   */
  constructor(key, { api, keep, page, isNew }) {
    this.key = key;
    this.exists = !isNew;
    this.#isNew = isNew;
    this.#api = api;
    this.#page = page;
    this.#path = `/api/channels/${encodeURIComponent(key)}`;
    this.#outbox = new Outbox({
      api,
      keep,
      channel: key,
      onChange: () => this.#changed(),
      onAccepted: (entry, receipt) => this.#accepted(entry, receipt),
      onRefused: (entry, error) => this.#page.refused(key, entry, error),
    });
    const askWhoIsIn = () => this.#api.session().catch(() => {}); // it tells the page when nobody is
    this.#stream = new Stream(`/ws/channels/${encodeURIComponent(key)}`, [SIGNED_OUT], {
      frame: ({ event, data, id }) => typeof event === "string" && this.#event(event, data ?? {}, id),
      open: () => this.#connected(),
      lost: (until, { opened, code }) => {
        if (!opened && code !== UNKNOWN) askWhoIsIn(); // refused without a reason that the browser may see
        this.#disconnected(until);
      },
      over: askWhoIsIn,
    });
  }

  /** Everything said, oldest first. */
  get messages() {
    return [...this.#messages.values()].sort((a, b) => a.order - b.order);
  }
  get entries() {
    return this.#outbox.entries;
  }
  get empty() {
    return this.loaded && this.#messages.size === 0 && this.entries.length === 0 && this.turns.active.length === 0;
  }
  get approvals() {
    return this.turns.all.flatMap((turn) => [...turn.approvals.values()]).filter(needsAnswer);
  }

  /**
   * Read, connect, and send what waits. `isNew`: the server does not know the channel, and lets us listen already.
   * Nothing is sent before the reading is over: its "no such conversation" could come after the first message made one.
   */
  async open() {
    await this.refresh();
    if (this.#closed) return;
    if (this.exists || this.#isNew) this.#stream.open(this.#resumePoint());
    this.#outbox.open();
  }

  close() {
    this.#closed = true;
    this.#stream.close();
    this.#outbox.close();
  }

  send(text, files) {
    this.#outbox.add(text, files);
  }
  /** Try everything that waits at once: the connection and the unsent messages. */
  hurry() {
    if (this.exists || this.#isNew) this.#stream.hurry();
    this.#outbox.flush();
  }
  takeBack(id) {
    return this.#outbox.take(id);
  }

  /** Read the rows again: messages, tasks and open questions. One reading at a time; a call meanwhile repeats it. */
  refresh() {
    if (this.#reading) {
      this.#readAgain = true;
      return this.#reading;
    }
    this.#reading = this.#read().finally(() => {
      this.#reading = null;
      if (!this.#readAgain || this.#closed) return;
      this.#readAgain = false;
      this.refresh();
    });
    return this.#reading;
  }

  async #read() {
    const before = this.#accepts;
    try {
      if (!this.exists) {
        this.loaded = true;
        this.#changed();
        return;
      }
      const [messages, tasks, approvals] = await Promise.all([
        this.#api.get(withQuery(`${this.#path}/messages`, { limit: PAGE })),
        this.#api.get(withQuery("/api/tasks", { channel: this.key, limit: TASKS })),
        this.#api.get("/api/approvals"),
      ]);
      if (this.#closed) return;
      if (!this.loaded) this.#older = messages.next;
      for (const item of messages.items) this.#keepMessage(item);
      for (const item of tasks.items) this.turns.row(item);
      for (const item of approvals.items) this.#keepApproval(item);
      this.exists = true;
      this.broken = null;
      this.loaded = true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404) {
        this.exists = before !== this.#accepts; // a message that was taken meanwhile has begun it
        this.loaded = true;
      } else this.broken = error;
    }
    this.#changed();
  }

  /** Read one more page of older messages. Resolves to whether there was one. */
  async readOlder() {
    if (!this.#older || this.#paging) return false;
    this.#paging = true;
    try {
      const page = await this.#api.get(withQuery(`${this.#path}/messages`, { limit: PAGE, cursor: this.#older }));
      for (const item of page.items) this.#keepMessage(item);
      this.#older = page.next;
      this.#changed();
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return false;
    } finally {
      this.#paging = false;
    }
  }

  /** Stop the task that runs (or the oldest that waits for its turn). */
  async stop() {
    const [turn] = this.turns.active;
    if (!turn || turn.stopping) return;
    turn.stopping = true;
    this.#changed();
    turn.stopping = await this.#deed(`/api/tasks/${turn.id}/cancel`, (item) => this.turns.row(item));
    this.#changed();
  }

  async retry(turn) {
    const { state } = turn;
    turn.stopping = false;
    turn.state = "queued"; // before asking: the first events may be faster than the answer
    this.#changed();
    const isDone = await this.#deed(`/api/tasks/${turn.id}/retry`);
    if (!isDone && turn.state === "queued") turn.state = state;
    this.#changed();
  }

  /** Answer a question: `verb` is approve or deny. */
  async decide(approval, verb) {
    const turn = this.turns.all.find((one) => one.approvals.has(approval.id));
    this.turns.approval(turn, { id: approval.id, deciding: true });
    this.#changed();
    await this.#deed(`/api/approvals/${approval.id}/${verb}`, (item) => {
      this.turns.approval(turn, item);
      if (turn.state === "waiting") turn.state = "queued"; // else its events were faster than this answer
    });
    if (needsAnswer(turn.approvals.get(approval.id))) {
      const item = await this.#api.get(`/api/approvals/${approval.id}`).catch(() => null);
      if (item) this.turns.approval(turn, item);
    }
    this.turns.approval(turn, { id: approval.id, deciding: false });
    this.#changed();
  }

  /** POST and hand the answer to `done`. Resolves to whether it was accepted. */
  async #deed(path, done = () => {}) {
    let isDone = false;
    try {
      done(await this.#api.post(path));
      isDone = true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 409 || error.status === 404)
        await this.refresh(); // it was over already
      else this.#page.failed(error);
    }
    this.#changed();
    return isDone;
  }

  #accepted(entry, receipt) {
    const isNew = !this.exists;
    this.#accepts += 1;
    this.#keepMessage({
      id: String(receipt.message),
      author: "person",
      text: entry.text,
      attachments: entry.files ?? [],
      at: entry.at,
      task: String(receipt.task),
      thread: String(receipt.thread),
    });
    this.turns.open(receipt.task);
    this.exists = true;
    if (isNew) {
      this.#stream.open();
      this.#page.created(this.key, entry.text || (entry.files?.[0]?.name ?? ""));
    }
    this.refresh(); // the answer may have been faster than this receipt
    this.#changed();
  }

  #event(name, data, id) {
    if (name === "reset") {
      this.refresh();
      return;
    }
    if (!data.task) return;
    if (name === "turn.started" && !this.turns.has(data.task)) {
      this.refresh(); // said in another tab or another place,
      this.#outbox.flush(); // or here, and the answer to it was lost
    }
    const turn = this.turns.event(name, data);
    if (!turn) return;
    if (name === "turn.started") this.#rememberStart(data, id);
    if (name === "text.delta") this.#page.growing(turn);
    if (name === "reply") this.#replied(data);
    if (name === "memory.proposed") this.#page.proposed();
    if (name === "approval.needed") {
      this.#page.waiting(turn.approvals.get(String(data.approval)));
      this.refresh(); // its arguments
    }
    this.#changed();
  }

  /** Note where the events of this turn begin, so that a reload in its middle hears it from the first word again. */
  #rememberStart({ task, attempt }, id) {
    try {
      sessionStorage.setItem(`antiphon-turn:${this.key}`, JSON.stringify({ task: String(task), attempt, id }));
    } catch {
      // no storage: after a reload the answer is shown when it is whole
    }
  }

  /** The event to resume after when a turn still runs whose start this tab has heard, else null. */
  #resumePoint() {
    try {
      const { task, attempt, id } = JSON.parse(sessionStorage.getItem(`antiphon-turn:${this.key}`)) ?? {};
      const turn = this.turns.get(task);
      if (!turn?.active || turn.attempt !== attempt) return null;
      turn.began = attempt;
      return id;
    } catch {
      return null;
    }
  }

  #replied(data) {
    const reply = String(data.reply);
    if (this.#replies.has(reply)) return;
    this.#replies.add(reply);
    const known = data.message && this.#messages.has(String(data.message));
    const item = {
      id: data.message ? String(data.message) : "",
      key: data.message ? undefined : `reply-${reply}`,
      author: "agent",
      text: data.text,
      at: new Date().toISOString(),
      task: String(data.task),
    };
    if (!known) this.#keepMessage(item);
    this.#page.answered(item);
    this.refresh(); // what the turn used, and its exact time
  }

  #keepMessage(item) {
    const key = item.key ?? String(item.id);
    const known = this.#messages.get(key);
    const order = item.id ? Number(item.id) : 1 + Math.max(0, ...this.messages.map((one) => one.order));
    const name = item.name || (item.author === "agent" ? "Antiphon" : this.#page.name);
    // A row without its own id was only a hint: the real row takes its place.
    if (item.id) {
      for (const [hint, one] of this.#messages) {
        if (!one.id && one.task === String(item.task) && one.text === item.text) this.#messages.delete(hint);
      }
    }
    this.#messages.set(key, {
      interrupted: false,
      ...known,
      ...item,
      key,
      order,
      name,
      task: item.task && String(item.task),
    });
  }

  #keepApproval(item) {
    if (item.channel !== this.key) return;
    this.turns.approval(this.turns.open(item.task), item);
  }

  #connected() {
    this.lost = null;
    this.refresh();
    this.#outbox.flush();
    this.#changed();
  }

  #disconnected(until) {
    this.lost = { since: this.lost?.since ?? Date.now(), until };
    this.#changed();
  }

  #changed() {
    if (!this.#closed) this.#page.changed();
  }
}
