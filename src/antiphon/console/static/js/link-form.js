// The field for a pasted sign-in link, on the sign-in page and after a failed welcome.

import { byId } from "./dom.js";

const TOKEN = /^[A-Za-z0-9_.-]{8,512}$/;

/** The token of a pasted link, or of a bare token; null when it is neither. Only the token counts, never the host. */
function tokenOf(text) {
  const last = text.trim().split(/[?#]/)[0].split("/").filter(Boolean).at(-1) ?? "";
  return TOKEN.test(last) ? last : null;
}

/** Where to go after signing in: a path on this server, else the start page. Never another host, however written. */
export function nextPath(search = location.search) {
  const next = new URLSearchParams(search).get("next") ?? "/";
  return /^\/(?![/\\]|sign-in|welcome)[\w.:@%+~,;=&?/-]*$/.test(next) ? next : "/";
}

export function linkForm() {
  byId("link-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = tokenOf(byId("link").value);
    byId("link").toggleAttribute("aria-invalid", !token);
    if (!token) {
      byId("link").setAttribute("aria-invalid", "true");
      byId("link-problem").textContent =
        "This is not a sign-in link. It looks like http://…/welcome/… and a long word.";
      byId("link").focus();
      return;
    }
    const next = nextPath();
    location.assign(`/welcome/${token}${next === "/" ? "" : `?next=${encodeURIComponent(next)}`}`);
  });
}
