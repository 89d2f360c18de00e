// What can keep a person from talking, each as a card: what happened, what was kept, what to do.

import { ApiError } from "../api.js";
import { errorCard, h } from "../dom.js";
import { microphoneNotice } from "../microphone.js";
import { NoMicrophone } from "./audio.js";

const MICROPHONE = {
  denied: {
    title: "The microphone is not allowed",
    now: "Allow the microphone for this site in the address bar of the browser, then start again.",
  },
  none: { title: "No microphone was found", now: "Plug one in, or choose another one under Microphone, then start again." },
  busy: { title: "The microphone is in use", now: "Close the program that holds it, or choose another one, then start again." },
  other: { title: "The microphone did not start", now: "Try again, or choose another one under Microphone." },
};
const NOTHING_SAID = "Nothing was recorded or sent. You can also write as usual.";

/** The card for whatever went wrong while starting. `actions` are buttons. */
export function startFailed(error, actions = []) {
  if (error instanceof NoMicrophone) return microphone(error, actions);
  if (error instanceof ApiError) return refused(error, actions);
  if (error.name === "ConnectionError" || error.name === "UnexpectedConnectionState") return unreachable(error, actions);
  return errorCard({
    title: "Talking could not begin",
    happened: error.message || String(error),
    kept: NOTHING_SAID,
    now: "Try again. If it stays like this, the status page tells which part is in trouble.",
    actions,
  });
}

function microphone(error, actions) {
  if (error.code === "insecure") {
    const card = microphoneNotice();
    if (card) return card;
  }
  const { title, now } = MICROPHONE[error.code] ?? MICROPHONE.other;
  return errorCard({ title, happened: error.message, kept: NOTHING_SAID, now, actions });
}

function refused(error, actions) {
  const isRefusal = error.status === 401 || error.status === 403 || error.status === 404;
  const isTaken = error.status === 404;
  return errorCard({
    title: isRefusal ? "The server refused to let you talk here" : "The server could not begin the session",
    happened: isTaken ? "This room belongs to somebody else." : error.message,
    kept: NOTHING_SAID,
    now:
      isTaken
        ? "Choose another name for it under Room, then start again."
        : error.passing
          ? "Try again in a moment."
          : "Change what it names, then start again.",
    actions,
  });
}

function unreachable(error, actions) {
  const isToken = /401|token|authoriz|permission/i.test(`${error.status ?? ""} ${error.message}`);
  return errorCard({
    title: isToken ? "The LiveKit server refused the token" : "The LiveKit server cannot be reached",
    happened: error.message,
    kept: NOTHING_SAID,
    now: isToken
      ? "Key and secret of LiveKit in the settings must be those of that server, and both clocks must agree."
      : h("span", {}, "Somebody who runs this installation should look at ", h("code", {}, "livekit.url"), ": is it up, and can this browser reach it?"),
    actions,
  });
}

/** The card while the connection is away and is tried again. */
export const dropped = () =>
  errorCard({
    title: "The connection dropped",
    happened: navigator.onLine ? "The server does not answer." : "This device is offline.",
    kept: "What was said is stored; the session waits for you.",
    now: "It is tried again by itself.",
  });

const REASONS = {
  stopped: "It was ended from elsewhere.",
  left: "The connection was away for too long.",
  idle: "Nobody said anything for a long time.",
  replaced: "Another session was begun in the same room.",
  revoked: "You were signed out.",
  failed: "Something broke that the conversation needs.",
  shutdown: "Antiphon is being stopped.",
  crashed: "Antiphon stopped without a warning.",
};

/** Why a session ended, in words. */
export const reasonWords = (reason) => REASONS[reason] ?? "It was closed from the other side.";

/** The card for a session that ended by itself. */
export const ended = (reason, session, actions) =>
  errorCard({
    title: "The session has ended",
    happened: reasonWords(reason),
    kept: h("span", {}, "Everything that was said: ", h("a", { href: `/voice/past/${encodeURIComponent(session)}` }, "read it"), "."),
    now: "Start another one when you like.",
    actions,
  });
