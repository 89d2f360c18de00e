// The microphone and the loudspeaker of this device: asking for them, choosing among several, and how loud it is.

import { microphoneNotice } from "../microphone.js";

const QUIETEST_DB = -55;
const LOUDEST_DB = -12;

/** Why there is no microphone. `code`: insecure, denied, none, busy, other. */
export class NoMicrophone extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const REASONS = {
  NotAllowedError: ["denied", "The browser does not let this page use the microphone."],
  SecurityError: ["denied", "The browser does not let this page use the microphone."],
  NotFoundError: ["none", "This device has no microphone, or it is not plugged in."],
  OverconstrainedError: ["none", "The microphone that was chosen is not there any more."],
  NotReadableError: ["busy", "Another program holds the microphone."],
  AbortError: ["busy", "The microphone did not start."],
};

/** Open a microphone, with the browser's echo cancellation. `device` is an id, or "" for the usual one. */
export async function openMicrophone(device) {
  if (microphoneNotice() || !navigator.mediaDevices)
    throw new NoMicrophone("insecure", "Browsers give the microphone to pages on HTTPS only.");
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
  if (device) audio.deviceId = { exact: device };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    const [code, message] = REASONS[error.name] ?? ["other", error.message];
    throw new NoMicrophone(code, message);
  }
}

/** The microphones and loudspeakers: [{kind, id, label}]. Their names are known once one was opened. */
export async function devices() {
  const found = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return found
    .filter(({ kind, deviceId }) => kind !== "videoinput" && deviceId)
    .map(({ kind, deviceId, label }) => ({ kind: kind === "audioinput" ? "microphone" : "speaker", id: deviceId, label }));
}

/** How loud something is, from 0 (quiet) to 1. */
export class Level {
  #analyser;
  #samples;

  constructor(context, source) {
    this.#analyser = context.createAnalyser();
    this.#analyser.fftSize = 512;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    source.connect(this.#analyser);
  }

  get value() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    const decibel = 10 * Math.log10(sum / this.#samples.length + 1e-9);
    return Math.max(0, Math.min(1, (decibel - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB)));
  }
}
