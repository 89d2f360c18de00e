// A secret that is shown once: a new key, a sign-in link.

import { button, copy, h } from "./dom.js";

/** Show `secret` in `place` until it is put away. */
export function showOnce(place, { title, text, secret }) {
  const field = h("input", { class: "mono", readonly: true, value: secret, "aria-label": title });
  field.addEventListener("focus", () => field.select());
  place.replaceChildren(
    h(
      "section",
      { class: "card ask", role: "alert" },
      h("h2", {}, title),
      h("p", { class: "small" }, text),
      field,
      h("div", { class: "row wrap" }, button("copy", "Copy", () => copy(secret), { kind: "primary" }), button("cross", "Put away", () => place.replaceChildren())),
    ),
  );
  field.focus();
}
