"""A microphone that says what a test wants, when it wants: for pages that share one browser, whose fake microphone is
the same for all. The page sees an ordinary one."""

from __future__ import annotations

import base64

import numpy as np
from playwright.sync_api import Page

SCRIPT = """
(() => {
  if (!navigator.mediaDevices) return; // the empty page before
  let context, out;
  const ready = () => {
    context ??= new AudioContext({ sampleRate: 48000 });
    out ??= context.createMediaStreamDestination();
    return out.stream;
  };
  navigator.mediaDevices.getUserMedia = async () => ready().clone();
  globalThis.mouth = (text) => {
    ready();
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const samples = new Float32Array(bytes.buffer);
    const buffer = context.createBuffer(1, samples.length, 48000);
    buffer.copyToChannel(samples, 0);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(out);
    source.start();
  };
})();
"""


def say(page: Page, sound: np.ndarray) -> None:
    """Say something into the page's microphone."""
    page.evaluate("text => mouth(text)", base64.b64encode(sound.astype("<f4").tobytes()).decode())
