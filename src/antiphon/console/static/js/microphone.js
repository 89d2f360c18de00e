// Says why this page may not use the microphone. Browsers give it to secure pages only: HTTPS, or this machine itself.

import { errorCard, h } from "./dom.js";

/** The card for a page that wants to listen but may not, or null where the browser would let it. */
export function microphoneNotice() {
  if (isSecureContext) return null;
  const card = errorCard({
    title: "No microphone on this address",
    happened: `The browser gives the microphone to pages on HTTPS only, and this one is on ${location.origin}.`,
    kept: "Everything else works: write as usual.",
    now: h(
      "span",
      {},
      "Open it on HTTPS. For a phone on the same network set ",
      h("code", {}, 'http.tls = "self"'),
      ", or put a proxy with a certificate in front.",
    ),
  });
  card.dataset.microphone = "insecure";
  return card;
}
