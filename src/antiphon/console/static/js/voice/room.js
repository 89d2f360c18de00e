// Speech through a room of a LiveKit server, where one is configured. The library is loaded when it is needed: no other
// page and no other transport uses it. Beside the sound, page and agent exchange messages as data, as the embedded
// transport does: what was really played is reported, and whoever interrupts is obeyed at once.

import { Level } from "./audio.js";
import { FRAME_MS, RATE } from "./capture.js";

const TOPIC = "antiphon";
const EARLY_TOPIC = "antiphon.early"; // what was said before the room carries the microphone
const HELLO_MS = 250;
const MOST_HELLOS = 20; // then it is no agent that answers
const MOST_EARLY_BYTES = 12_800; // of one packet; LiveKit takes 15,000

async function library() {
  await import("../../vendor/livekit-client.js"); // it leaves its name with the page, not with who imports it
  return globalThis.LivekitClient;
}

export class RoomTransport {
  name = "livekit";
  #options;
  #agent;
  #room = null;
  #track = null;
  #playout = null;
  #silent = false;
  #closed = false;
  #early = [];
  #greeted = () => {};
  #levels = { me: null, agent: null };
  #sounds = new Map();

  /**
   * `url` and `token` open the room; `session`: its id; `context`: the AudioContext; `stream`: the microphone, which
   * `capture` listens to until the room carries it.
   * Handlers: `connected()`, `lost()`, `over(code)`.
   */
  constructor(options) {
    this.#options = options;
    this.#agent = `agent-${options.session}`;
  }

  async open() {
    const { url, token, stream, handlers, context } = this.#options;
    const [{ Room, RoomEvent, LocalAudioTrack, Track }] = await Promise.all([library(), this.#makePlayout()]);
    if (this.#closed) return;
    const room = new Room({ disconnectOnPageLeave: true, webAudioMix: { audioContext: context } });
    this.#room = room;
    room.on(RoomEvent.TrackSubscribed, (track, _, from) => this.#hear(track, from));
    room.on(RoomEvent.TrackUnsubscribed, (track) => this.#silence(track));
    room.on(RoomEvent.DataReceived, (bytes, from, _, topic) => this.#receive(bytes, from, topic));
    await room.connect(url, token);
    if (this.#closed) return;
    for (const event of [RoomEvent.SignalReconnecting, RoomEvent.Reconnecting])
      room.on(event, () => this.#closed || handlers.lost());
    room.on(RoomEvent.Reconnected, () => this.#closed || handlers.connected());
    room.on(RoomEvent.Disconnected, () => this.#closed || handlers.over());
    await this.#greet();
    if (this.#closed) return;
    this.#options.capture.to((frame) => this.#sendEarly(frame));
    queueMicrotask(() => this.#tell({ type: "caught_up" })); // after what was kept
    // The page opened the microphone itself, so the library must not close and ask again.
    this.#track = new LocalAudioTrack(stream.getAudioTracks()[0], undefined, true);
    await room.localParticipant.publishTrack(this.#track, { source: Track.Source.Microphone, dtx: false, red: false });
    this.#levels.me = new Level(context, context.createMediaStreamSource(stream));
    if (this.#silent) await this.#track.mute();
    handlers.connected();
  }

  get levels() {
    return { me: this.#silent ? 0 : (this.#levels.me?.value ?? 0), agent: this.#levels.agent?.value ?? 0 };
  }

  useMicrophone(stream) {
    const { context } = this.#options;
    this.#levels.me = new Level(context, context.createMediaStreamSource(stream));
    return this.#track?.replaceTrack(stream.getAudioTracks()[0], true);
  }

  useSpeaker(device) {
    return this.#room?.switchActiveDevice("audiooutput", device || "default");
  }

  setMuted(muted) {
    this.#hush(muted);
    this.#tell({ type: "mute", muted });
  }

  hold(held) {
    this.#hush(!held);
    this.#tell({ type: "ptt", down: held });
  }

  close() {
    this.#closed = true;
    for (const track of [...this.#sounds.keys()]) this.#silence(track);
    this.#room?.disconnect();
    this.#playout?.disconnect();
    this.#playout?.port.close();
  }

  #hush(silent) {
    this.#silent = silent;
    if (silent) this.#track?.mute();
    else this.#track?.unmute();
  }

  /** Say hello until the agent answers: a server may drop what comes while somebody is still entering. */
  #greet() {
    return new Promise((resolve) => {
      let tries = 0;
      const hello = () => {
        tries += 1;
        if (tries > MOST_HELLOS || this.#closed) this.#greeted();
        else this.#tell({ type: "hello", rate: RATE, frame_ms: FRAME_MS });
      };
      const timer = setInterval(hello, HELLO_MS);
      this.#greeted = () => {
        clearInterval(timer);
        resolve();
      };
      hello();
    });
  }

  async #makePlayout() {
    const { context } = this.#options;
    await context.audioWorklet.addModule(new URL("room-playout-worklet.js", import.meta.url));
    this.#playout = new AudioWorkletNode(context, "room-playout", {
      channelCount: 1,
      channelCountMode: "explicit",
      outputChannelCount: [1],
    });
    this.#playout.port.onmessage = ({ data: { run, seconds } }) =>
      this.#tell({ type: "played", run, samples: Math.round(seconds * RATE) });
    this.#levels.agent = new Level(context, this.#playout);
  }

  #hear(track, from) {
    if (track.kind !== "audio") return;
    if (from.identity === this.#agent) track.setWebAudioPlugins([this.#playout]);
    const sound = track.attach();
    document.body.append(sound);
    this.#sounds.set(track, sound);
  }

  #silence(track) {
    for (const sound of track.detach()) sound.remove();
    this.#sounds.delete(track);
  }

  #receive(bytes, from, topic) {
    if (topic !== TOPIC || from?.identity !== this.#agent) return;
    const { type, run } = JSON.parse(new TextDecoder().decode(bytes));
    if (type === "hello") this.#greeted();
    else if (type === "sound") this.#playout.port.postMessage({ run });
    else if (type === "clear") this.#playout.port.postMessage({});
    else if (type === "hearing") this.#options.capture.close(); // the room has its own way
  }

  /** The frames of one moment in one packet: what was kept comes at once. */
  #sendEarly(frame) {
    if (this.#early.length === 0) queueMicrotask(() => this.#flushEarly());
    this.#early.push(new Uint8Array(frame));
    return true;
  }

  #flushEarly() {
    while (this.#early.length) {
      const frames = this.#early.splice(0, Math.floor(MOST_EARLY_BYTES / this.#early[0].length));
      const packet = new Uint8Array(frames.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const frame of frames) {
        packet.set(frame, at);
        at += frame.length;
      }
      this.#publish(packet, EARLY_TOPIC);
    }
  }

  #tell(message) {
    this.#publish(new TextEncoder().encode(JSON.stringify(message)), TOPIC);
  }

  #publish(bytes, topic) {
    if (this.#room?.state !== "connected") return;
    const to = { topic, reliable: true, destinationIdentities: [this.#agent] };
    this.#room.localParticipant.publishData(bytes, to).catch(() => {}); // gone meanwhile
  }
}
