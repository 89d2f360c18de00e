// Speech through a room of a LiveKit server, where one is configured. The library is loaded when it is needed: no other
// page and no other transport uses it.

import { Level } from "./audio.js";

const TOPIC = "antiphon"; // of the data that page and agent exchange

async function library() {
  await import("../../vendor/livekit-client.js"); // it leaves its name with the page, not with who imports it
  return globalThis.LivekitClient;
}

export class RoomTransport {
  name = "livekit";
  #options;
  #room = null;
  #track = null;
  #silent = false;
  #closed = false;
  #levels = { me: null, agent: null };
  #sounds = new Map();

  /**
   * `url` and `token` open the room; `context`: the AudioContext; `stream`: the microphone.
   * Handlers: `connected()`, `lost()`, `over(code)`.
   */
  constructor(options) {
    this.#options = options;
  }

  async open() {
    const { Room, RoomEvent, LocalAudioTrack, Track } = await library();
    const { url, token, stream, handlers, context } = this.#options;
    const room = new Room({ disconnectOnPageLeave: true });
    this.#room = room;
    room.on(RoomEvent.TrackSubscribed, (track) => this.#hear(track));
    room.on(RoomEvent.TrackUnsubscribed, (track) => this.#silence(track));
    await room.connect(url, token);
    for (const event of [RoomEvent.SignalReconnecting, RoomEvent.Reconnecting])
      room.on(event, () => this.#closed || handlers.lost());
    room.on(RoomEvent.Reconnected, () => this.#closed || handlers.connected());
    room.on(RoomEvent.Disconnected, () => this.#closed || handlers.over());
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
  }

  #hush(silent) {
    this.#silent = silent;
    if (silent) this.#track?.mute();
    else this.#track?.unmute();
  }

  #hear(track) {
    if (track.kind !== "audio") return;
    const sound = track.attach();
    document.body.append(sound);
    this.#sounds.set(track, sound);
    const { context } = this.#options;
    this.#levels.agent = new Level(context, context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])));
  }

  #silence(track) {
    for (const sound of track.detach()) sound.remove();
    this.#sounds.delete(track);
  }

  #tell(message) {
    if (this.#room?.state !== "connected") return;
    const bytes = new TextEncoder().encode(JSON.stringify(message));
    this.#room.localParticipant.publishData(bytes, { topic: TOPIC, reliable: true }).catch(() => {}); // gone meanwhile
  }
}
