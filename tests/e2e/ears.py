"""What a page really hears: its microphone and what reaches its loudspeaker, measured by the browser itself.

A script that is put into the page before its own ones listens where WebAudio meets the outside: at the destination of
every AudioContext, and at the stream of the microphone.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from playwright.sync_api import Page

SCRIPT = """
(() => {
  const BLOCK = 1024; // about 20 ms
  const ears = { mic: [], out: [], sound: [], rate: 0 };
  globalThis.ears = ears;
  const connect = AudioNode.prototype.connect;
  const tap = (context, node, log, sound) => {
    const listener = context.createScriptProcessor(BLOCK, 1, 1);
    const zero = performance.now() - context.currentTime * 1000;
    listener.onaudioprocess = ({ inputBuffer, playbackTime }) => {
      const samples = inputBuffer.getChannelData(0);
      let sum = 0;
      for (const sample of samples) sum += sample * sample;
      log.push([zero + playbackTime * 1000, Math.sqrt(sum / samples.length)]); // as heard, however busy the page is
      if (sound) sound.push(samples.slice());
      ears.rate = context.sampleRate;
    };
    connect.call(node, listener);
    connect.call(listener, context.destination); // silent; without it nothing flows
  };
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target === this.context.destination) tap(this.context, this, ears.out, ears.sound);
    return connect.call(this, target, ...rest);
  };
  const mine = new WeakSet();
  const ask = navigator.mediaDevices?.getUserMedia;
  if (ask) navigator.mediaDevices.getUserMedia = async function (...wanted) {
    const stream = await ask.apply(this, wanted);
    for (const track of stream.getTracks()) mine.add(track);
    return stream;
  };
  const source = AudioContext.prototype.createMediaStreamSource;
  AudioContext.prototype.createMediaStreamSource = function (stream) {
    const node = source.call(this, stream);
    const isMine = stream.getTracks().some((track) => mine.has(track));
    if (isMine) tap(this, node, ears.mic, null);
    return node;
  };
  ears.take = () => {
    const bytes = new Uint8Array(Float32Array.from(ears.sound.flatMap((block) => [...block])).buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return btoa(text);
  };
})();
"""
LOUD = 0.01
BLOCK = 1024


@dataclass(frozen=True)
class Heard:
    """Loudness over time: milliseconds of the page's clock when it sounded, and root mean squares."""

    at: np.ndarray
    level: np.ndarray
    rate: int

    @property
    def loud(self) -> np.ndarray:
        """The times of everything loud."""
        return self.at[self.level > LOUD]

    @property
    def seconds(self) -> float:
        """How long something was loud, all in all."""
        return len(self.loud) * BLOCK / self.rate

    def stretches(self, pause: float = 400.0) -> list[tuple[float, float]]:
        """Stretches of sound, from when to when, with at least `pause` milliseconds of silence between."""
        found: list[tuple[float, float]] = []
        for at in self.loud:
            if found and at - found[-1][1] < pause:
                found[-1] = (found[-1][0], float(at))
            else:
                found.append((float(at), float(at)))
        return found


def heard(page: Page, who: str) -> Heard:
    """`mic` or `out`, so far."""
    blocks = np.array(page.evaluate(f"ears.{who}"), dtype=float).reshape(-1, 2)
    return Heard(blocks[:, 0], blocks[:, 1], int(page.evaluate("ears.rate")) or 48_000)


def sound(page: Page) -> tuple[np.ndarray, int]:
    """Everything that reached the loudspeaker, with its sample rate."""
    return np.frombuffer(base64.b64decode(page.evaluate("ears.take()")), np.float32), int(page.evaluate("ears.rate"))


def loud_seconds(samples: np.ndarray, rate: int) -> float:
    """How many seconds of a sound are loud, counted in blocks as the page counts them."""
    blocks = samples[: len(samples) // BLOCK * BLOCK].reshape(-1, BLOCK)
    return float((np.sqrt((blocks**2).mean(axis=1)) > LOUD).sum()) * BLOCK / rate


def likeness(heard: np.ndarray, wanted: np.ndarray, rate: int) -> float:
    """How much of a sound can be found in what was heard (1: all of it, 0: nothing), a quarter of a second at a time:
    on a busy machine there are gaps between."""
    size = rate // 4
    pieces = [wanted[at : at + size] for at in range(0, len(wanted) - size + 1, size)]
    loud = [piece for piece in pieces if np.sqrt((piece**2).mean()) > LOUD]
    return float(np.mean([_best_place(heard, piece) for piece in loud]))


def _best_place(heard: np.ndarray, wanted: np.ndarray) -> float:
    size = 1 << int(np.ceil(np.log2(len(heard) + len(wanted))))
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size)), size)[: len(heard)]
    sums = np.concatenate([[0.0], np.cumsum(np.append(heard, np.zeros(len(wanted))) ** 2)])
    energy = sums[len(wanted) :][: len(heard)] - sums[: len(heard)]
    return float((product / np.sqrt(np.maximum(energy, 1e-3) * (wanted**2).sum())).max())
