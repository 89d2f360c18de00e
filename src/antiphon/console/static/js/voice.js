// The voice page: what a person chooses, the session they talk in, and everything that shows how it goes.

import { ApiError, withQuery } from "./api.js";
import { approvalCard, expiry, newer } from "./approvals.js";
import { button, byId, facts, h, icon, toast } from "./dom.js";
import { showPresence } from "./presence.js";
import { attempt, isNoticed, notice, start } from "./shell.js";
import { devices, NoMicrophone, openMicrophone } from "./voice/audio.js";
import { Meter } from "./voice/meter.js";
import { Session } from "./voice/session.js";
import { dropped, ended, startFailed } from "./voice/troubles.js";
import { legend, Waterfall } from "./voice/waterfall.js";
import { Words } from "./voice/words.js";

const LOST_AFTER_MS = 1200; // a shorter gap is not worth a card
const LEVELS_MS = 50;
const SELECTS = ["language", "voice", "microphone", "speaker"]; // filled once the server, or the browser, has said with what
const ROOM = "talk";
const WELCOME = "Speak with Antiphon, and read along";
const AWAY = "Nobody hears you until the connection is back.";
const HOLD = "Hold the button, or the space bar, while you speak.";
const HOLD_TOUCHED = "Hold the button while you speak.";
const HINTS = {
  idle: "Antiphon listens once you start, and only then.",
  starting: "One moment: the microphone is opened, and the engines are made ready.",
  listening: "Go on, it listens.",
  thinking: "It has heard you.",
  speaking: "Just start talking to interrupt.",
  waiting: "It needs your word before it goes on.",
  error: "",
};

class Page {
  #visit;
  #api;
  #form = byId("choices");
  #session = null;
  #room = "";
  #voices = [];
  #stream = null;
  #context = null;
  #state = "idle";
  #starting = false;
  #startedAt = 0;
  #muted = false;
  #held = false;
  #lostTimer = 0;
  #ticker = 0;
  #levels = 0;
  #words;
  #waterfall = new Waterfall(byId("latency"));
  #meters = { me: new Meter(byId("my-level")), agent: new Meter(byId("its-level")) };
  #approvals = new Map();

  async start() {
    this.#visit = await start({
      onSignedOut: () => this.#stop(),
      onFailed: () => showPresence("error"),
      beforeLeaving: () => this.#stop(),
      // The session's own cards say what becomes of it; the shell's speaks where there is none.
      ownConnectionCard: () => this.#session !== null || this.#starting || isNoticed("voice"),
    });
    if (!this.#visit) return;
    this.#api = this.#visit.api;
    this.#words = new Words(byId("words"), this.#visit.me.name, byId("said"));
    this.#form.identity.placeholder = this.#visit.me.name;
    byId("legend").replaceChildren(legend());
    this.#listen();
    this.#restore();
    await Promise.all([this.#offer(), this.#devices()]);
  }

  // --- choices ---

  get #choices() {
    const chosen = Object.fromEntries([...new FormData(this.#form)].map(([name, value]) => [name, String(value).trim()]));
    return { ...chosen, room: chosen.room || ROOM, identity: chosen.identity || this.#visit.me.name };
  }

  #restore() {
    const kept = this.#visit.keep.get("voice", {});
    this.#form.room.value = kept.room || ROOM;
    this.#form.identity.value = kept.identity || this.#visit.me.name;
    this.#form.prompt.value = kept.prompt || "";
    this.#form.mode.value = kept.mode === "hold" ? "hold" : "open";
    for (const name of SELECTS) this.#form[name].dataset.wanted = kept[name] ?? "";
  }

  /** What this installation can: languages, voices, engines, and which way speech takes. */
  async #offer() {
    try {
      const { languages, voices, engines } = await this.#api.get("/api/voice/options");
      choices(this.#form.language, [["", "As it is set up"], ...languages.map(language)]);
      this.#voices = voices;
      this.#offerVoices();
      byId("engines").hidden = false;
      byId("engines").querySelector("dl").replaceWith(facts([
        ["Hears", engines.stt],
        ["Speaks", engines.tts],
        ["Turns", engines.turns_note ? `${engines.turns} (${engines.turns_note})` : engines.turns],
        ["Carried by", engines.transport === "livekit" ? "LiveKit" : "this program"],
      ]));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== 401) notice(startFailed(error));
    }
  }

  /** The voices of the chosen language; some engines have more than a hundred. */
  #offerVoices() {
    const { language } = this.#choices;
    const speaks = ({ language: tag }) => !language || !tag || tag.split("-")[0] === language.split("-")[0];
    const own = this.#voices.filter(speaks).map(({ name, language: tag, title }) => [name, [title || name, tag].filter(Boolean).join(", ")]);
    choices(this.#form.voice, [["", "The usual one"], ...own]);
  }

  async #devices() {
    const found = await devices().catch(() => []);
    const named = (kind) => found.filter((one) => one.kind === kind && one.label).map(({ id, label }) => [id, label]);
    choices(this.#form.microphone, [["", "The usual one"], ...named("microphone")]);
    choices(this.#form.speaker, [["", "The usual one"], ...named("speaker")]);
    byId("speaker-field").hidden = named("speaker").length === 0 || !("setSinkId" in AudioContext.prototype);
  }

  #chose({ target }) {
    if (SELECTS.includes(target.name)) target.dataset.wanted = target.value;
    const { room, identity, prompt, mode } = this.#choices;
    const wanted = Object.fromEntries(SELECTS.map((name) => [name, this.#form[name].dataset.wanted]));
    this.#visit.keep.set("voice", { room, identity, prompt, mode, ...wanted });
    if (target.name === "mode") this.#draw();
    if (target.name === "language") this.#offerVoices();
    if (!this.#session) return;
    if (target.name === "mode") this.#applyMode();
    if (this.#starting) return; // which devices were chosen meanwhile is looked at once it has started
    if (target.name === "microphone") this.#changeMicrophone();
    if (target.name === "speaker") this.#changeSpeaker();
  }

  // --- talking ---

  async #begin() {
    if (this.#starting || this.#session) return;
    this.#starting = true;
    this.#show("starting");
    this.#draw();
    if (byId("notice").contains(document.activeElement)) byId("begin").focus(); // the card goes, with its button
    notice(null);
    let context = null;
    try {
      // In the click itself: browsers let a page be heard because somebody pressed something.
      context = new AudioContext({ latencyHint: "interactive" });
      this.#context = context; // until this start is given up
      const resumed = context.resume();
      const microphone = this.#form.microphone.value;
      const stream = await openMicrophone(microphone);
      if (this.#context !== context) {
        release(stream); // allowed too late: the person has left, or was signed out
        return;
      }
      this.#stream = stream;
      await resumed;
      this.#watchMicrophone();
      this.#devices();
      this.#words.clear();
      this.#waterfall.clear();
      this.#approvals.clear();
      this.#drawApprovals();
      const { room, identity, language, voice, prompt } = this.#choices;
      const session = new Session(
        this.#api,
        { room, identity, name: identity, language, voice, prompt },
        {
          event: (event) => this.#session === session && this.#event(event),
          connected: () => this.#session === session && this.#connected(),
          lost: () => this.#session === session && this.#lost(),
          failed: (error) => this.#session === session && this.#failed(error),
          over: (why) => this.#session === session && this.#over(why, session.id),
        },
      );
      this.#session = session;
      this.#room = room;
      await session.begin({ context, stream, silent: this.#isHold });
      if (this.#session !== session) return;
      this.#startedAt = Date.now();
      await this.#changeSpeaker();
      if (this.#session !== session) return;
      this.#starting = false;
      this.#applyMode();
      if (this.#form.microphone.value !== microphone) this.#changeMicrophone();
      this.#show(this.#state === "starting" ? "listening" : this.#state);
      this.#run();
      this.#offerWriting(session.id);
    } catch (error) {
      if (this.#context === context && error.name !== "AbortError") this.#failed(error);
    } finally {
      if (this.#context === context) {
        this.#starting = false;
        this.#draw();
      }
    }
  }

  async #end() {
    const session = this.#session;
    if (!session) return;
    this.#stop();
    await attempt(() => session.end());
  }

  /** Free the microphone and everything else of the session on this page. */
  #stop() {
    const session = this.#session;
    this.#session = null;
    session?.end().catch(() => {}); // its own time-out ends it, too
    release(this.#stream);
    this.#context?.close();
    this.#stream = this.#context = null;
    clearInterval(this.#ticker);
    clearInterval(this.#levels);
    clearTimeout(this.#lostTimer);
    this.#lostTimer = 0;
    this.#muted = this.#held = this.#starting = false;
    notice(null, "voice-lost");
    this.#words?.settle();
    this.#approvals.clear();
    this.#drawApprovals();
    this.#silence();
    for (const bird of document.querySelectorAll(".songbird")) bird.style.removeProperty("--level");
    this.#show("idle");
    this.#draw();
  }

  #failed(error) {
    this.#stop();
    this.#show("error");
    notice(startFailed(error, [button("again", "Try again", () => this.#begin())]), "voice");
    if (error instanceof NoMicrophone) this.#devices();
  }

  async #over(why, session) {
    this.#stop();
    why ||= await this.#reasonOf(session);
    if (this.#session || this.#starting) return; // somebody was quicker, and talks again
    notice(ended(why, session, [button("microphone", "Start again", () => this.#begin())]), "voice");
  }

  /** Why a session ended whose sound came to nothing: the server knows, also after it was started anew. */
  async #reasonOf(session) {
    try {
      return (await this.#api.get(`/api/voice/sessions/${encodeURIComponent(session)}`)).reason;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return "";
    }
  }

  #connected() {
    clearTimeout(this.#lostTimer);
    if (this.#lostTimer) this.#show("listening"); // until the session tells better: an answer ends with its connection
    this.#lostTimer = 0;
    notice(null, "voice-lost");
    this.#connection("good", "connected");
  }

  #lost() {
    this.#connection("risk", "reconnecting");
    this.#silence();
    this.#lostTimer ||= setTimeout(() => {
      notice(dropped(), "voice-lost");
      this.#show("error");
    }, LOST_AFTER_MS);
  }

  /** Nobody is heard. */
  #silence() {
    for (const who of ["user", "agent"]) this.#speaks(who, false);
    for (const meter of Object.values(this.#meters)) meter.show(0);
  }

  #connection(tone, word) {
    const chip = byId("connection");
    chip.hidden = false;
    chip.className = `chip ${tone}`;
    chip.textContent = word;
  }

  // --- what the session tells ---

  #event(event) {
    switch (event.type) {
      case "transcript":
        this.#words.say(event);
        break;
      case "state":
        this.#show(event.state);
        break;
      case "speech":
        this.#speaks(event.who, event.state === "started");
        break;
      case "interrupted":
        this.#words.say({ ...event, interrupted: true, final: true });
        break;
      case "tool":
        this.#words.tool(event);
        break;
      case "approval":
        this.#ask(event);
        break;
      case "latency":
        this.#waterfall.add(event);
        break;
      case "error":
        toast(event.message, "error");
        break;
      default: // what a later version tells
    }
  }

  async #ask({ approval }) {
    const session = this.#session;
    const found = await attempt(() => this.#api.get(`/api/approvals/${encodeURIComponent(approval)}`));
    if (!found || this.#session !== session) return;
    this.#know(found);
    byId("asking").lastElementChild.scrollIntoView({ block: "nearest" });
  }

  async #decide(approval, verb) {
    const session = this.#session;
    this.#know({ id: approval.id, deciding: true });
    const decided = await attempt(() => this.#api.post(`/api/approvals/${encodeURIComponent(approval.id)}/${verb}`));
    if (this.#session === session) this.#know({ ...decided, id: approval.id, deciding: false });
    this.#visit.beat();
  }

  #know(approval) {
    this.#approvals.set(approval.id, newer(this.#approvals.get(approval.id), approval));
    this.#drawApprovals();
  }

  #drawApprovals() {
    const cards = [...this.#approvals.values()].map((one) => approvalCard(one, (approval, verb) => this.#decide(approval, verb)));
    byId("asking").replaceChildren(...cards);
  }

  // --- microphone and loudspeaker ---

  #watchMicrophone() {
    for (const track of this.#stream.getAudioTracks())
      track.onended = () => this.#session && this.#failed(new NoMicrophone("none", "The microphone was unplugged or taken away."));
  }

  async #changeMicrophone() {
    const session = this.#session;
    const device = this.#form.microphone.value;
    try {
      const stream = await openMicrophone(device);
      if (this.#session !== session || this.#form.microphone.value !== device) {
        release(stream); // the session is over, or another one was chosen meanwhile
        return;
      }
      const before = this.#stream;
      this.#stream = stream;
      this.#watchMicrophone();
      await session.useMicrophone(stream);
      release(before);
    } catch (error) {
      if (!(error instanceof NoMicrophone)) throw error;
      toast(error.message, "error");
    }
  }

  async #changeSpeaker() {
    const wanted = this.#form.speaker.value;
    const session = this.#session;
    if (!this.#context?.setSinkId || (!wanted && !this.#context.sinkId)) return;
    try {
      await this.#context.setSinkId(wanted);
      await session.useSpeaker(wanted);
    } catch {
      if (this.#session === session) toast("This loudspeaker is not there any more", "error");
    }
  }

  #mute(muted) {
    this.#muted = muted;
    this.#session?.setMuted(muted);
    this.#draw();
  }

  #hold(held) {
    if (!this.#session || !this.#isHold) return;
    this.#held = held;
    this.#session.hold(held);
    this.#draw();
  }

  #applyMode() {
    if (this.#isHold) this.#hold(false);
    else this.#mute(this.#muted);
  }

  get #isHold() {
    return this.#form.mode.value === "hold";
  }

  // --- what is shown ---

  #show(state) {
    this.#state = state;
    showPresence(state);
    this.#showHint();
  }

  #showHint() {
    const isOff = this.#session !== null && !this.#starting && !this.#isHold && this.#muted;
    byId("hint").textContent = isOff ? "Your microphone is off." : this.#hint;
    byId("hint").toggleAttribute("data-off", isOff);
  }

  get #hint() {
    if (this.#session && this.#state === "error") return AWAY;
    if (this.#session && this.#isHold && this.#held) return "Let go when you are done.";
    if (this.#session && this.#isHold && this.#state === "listening") return matchMedia("(hover: hover)").matches ? HOLD : HOLD_TOUCHED;
    return HINTS[this.#state] ?? "";
  }

  /** Who is heard now stands out beside the meters. */
  #speaks(who, isSpeaking) {
    document.querySelector(`.levels [data-who="${CSS.escape(who)}"]`)?.toggleAttribute("data-speaks", isSpeaking);
  }

  #run() {
    this.#ticker = setInterval(() => this.#tick(), 1000);
    this.#levels = setInterval(() => this.#showLevels(), LEVELS_MS);
    this.#tick();
  }

  #tick() {
    const way = this.#session.transport === "livekit" ? "LiveKit" : "embedded transport";
    const seconds = Math.floor((Date.now() - this.#startedAt) / 1000);
    const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    const room = [h("span", { class: "cut" }, `Room ${this.#room}`), h("span", { class: "hide-phone" }, `, ${way}`)];
    byId("subtitle").replaceChildren(...room, h("span", { class: "num" }, `, ${clock}`));
    for (const element of document.querySelectorAll("[data-expires]")) element.textContent = expiry(element.dataset.expires);
  }

  #showLevels() {
    const { me, agent } = this.#session.levels;
    this.#meters.me.show(me);
    this.#meters.agent.show(agent);
    const level = this.#state === "speaking" ? agent : me;
    for (const bird of document.querySelectorAll(".songbird")) bird.style.setProperty("--level", level.toFixed(2));
  }

  #draw() {
    const isOn = this.#session !== null && !this.#starting;
    const at = document.activeElement;
    byId("spoken").toggleAttribute("data-on", isOn);
    byId("begin").hidden = isOn;
    byId("begin").setAttribute("aria-disabled", String(this.#starting)); // a disabled button would lose the focus
    byId("begin").lastElementChild.textContent = this.#starting ? "Starting" : "Start talking";
    byId("end").hidden = !isOn;
    byId("mute").hidden = !isOn || this.#isHold;
    byId("hold").hidden = !isOn || !this.#isHold;
    byId("hold").setAttribute("aria-pressed", String(this.#held));
    byId("mute").setAttribute("aria-pressed", String(this.#muted));
    byId("mute").replaceChildren(icon(this.#muted ? "muted" : "microphone"));
    this.#showHint();
    if (at?.hidden) byId(isOn ? (this.#isHold ? "hold" : "mute") : "begin").focus(); // who uses keys goes on from there
    if (isOn) return;
    byId("connection").hidden = true;
    byId("write").hidden = true;
    byId("subtitle").textContent = WELCOME;
  }

  /** The same conversation, in writing: spoken turns are in it like written ones. */
  async #offerWriting(id) {
    try {
      const { channel } = await this.#api.get(`/api/voice/sessions/${encodeURIComponent(id)}`);
      if (!channel || this.#session?.id !== id) return;
      byId("write").href = `/c/${encodeURIComponent(channel)}`;
      byId("write").hidden = false;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  // --- what a person does ---

  #listen() {
    byId("begin").addEventListener("click", () => this.#begin());
    byId("end").addEventListener("click", () => this.#end());
    byId("mute").addEventListener("click", () => this.#mute(!this.#muted));
    this.#form.addEventListener("change", (event) => this.#chose(event));
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    const hold = byId("hold");
    hold.addEventListener("pointerdown", (event) => {
      hold.setPointerCapture(event.pointerId);
      this.#hold(true);
    });
    for (const name of ["pointerup", "pointercancel", "lostpointercapture", "blur"])
      hold.addEventListener(name, () => this.#held && this.#hold(false));
    hold.addEventListener("keydown", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      if (!event.repeat) this.#hold(true);
    });
    hold.addEventListener("keyup", (event) => (event.key === " " || event.key === "Enter") && this.#hold(false));
    hold.addEventListener("contextmenu", (event) => event.preventDefault());
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select")) return;
      if (event.key.toLowerCase() === "m" && !byId("mute").hidden) this.#mute(!this.#muted);
      const isElsewhere = event.target.closest?.("button, a, [tabindex='0'], dialog");
      if (event.key !== " " || isElsewhere || hold.hidden) return;
      event.preventDefault(); // the page would scroll
      if (!event.repeat) this.#hold(true);
    });
    addEventListener("keyup", (event) => event.key === " " && this.#held && this.#hold(false));
    addEventListener("blur", () => this.#held && this.#hold(false)); // the key may be let go in another window
    const toOptions = byId("to-options");
    const isOpen = () => toOptions.getAttribute("aria-expanded") === "true";
    const open = (wanted) => {
      byId("options").toggleAttribute("data-open", wanted);
      toOptions.setAttribute("aria-expanded", String(wanted));
      if (wanted) byId("options").focus();
    };
    toOptions.addEventListener("click", () => open(!isOpen()));
    addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !isOpen()) return;
      open(false);
      toOptions.focus();
    });
    addEventListener("click", (event) => event.target.closest?.("#options, #to-options") || open(false));
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#devices());
    addEventListener("pagehide", () => this.#stop());
  }
}

/** Let go of a microphone. */
function release(stream) {
  for (const track of stream?.getTracks() ?? []) {
    track.onended = null;
    track.stop();
  }
}

/** A language as a choice, or why it is none. */
const language = ({ tag, title, known }) => [tag, known ? title : `${title} (no engine here knows it)`, !known];

/** Fill a select with [value, word, off?], keeping what is (or was last time) chosen. */
function choices(select, options) {
  const wanted = select.dataset.wanted;
  select.replaceChildren(...options.map(([value, word, off]) => h("option", { value, disabled: off }, word)));
  select.value = options.some(([value, , off]) => value === wanted && !off) ? wanted : "";
}

await new Page().start();
