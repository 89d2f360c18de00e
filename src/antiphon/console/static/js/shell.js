// What every signed-in page does: who is here, what the menu shows, signing out, and what is said when the server is
// away. A page calls `start` once and goes on with what it resolves to.

import { Api, ApiError } from "./api.js";
import { confirmDeed } from "./dialog.js";
import { button, byId, errorCard, h, toast } from "./dom.js";
import { Keep } from "./keep.js";
import { Order } from "./order.js";
import { waitBefore } from "./retry.js";
import { left } from "./times.js";

const RANKS = { member: 1, operator: 2, owner: 3 };
const EVERY_MS = 30_000;
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 15_000;
const SIGNED_OUT = "signed-out";

export const initials = (name) => (name.trim().slice(0, 2) || "?").toLowerCase();
export const signInAgain = () =>
  `/sign-in?${new URLSearchParams({ reason: "expired", next: location.pathname + location.search }).toString()}`;

/**
 * Show a card over the content. With `null` take the card of this kind away; without a kind, any. That one is signed out
 * stays, whatever else comes to nothing because of it.
 */
export function notice(card, kind = "") {
  const place = byId("notice");
  if (place.dataset.kind === SIGNED_OUT) return;
  if (!card && kind && place.dataset.kind !== kind) return;
  place.dataset.kind = card ? kind : "";
  place.replaceChildren(...(card ? [card] : []));
}

/** Whether a card of this kind is shown. */
export const isNoticed = (kind) => byId("notice").dataset.kind === kind;

/** A signed-in person on a page: {api, me, user, keep, isOperator, isOwner}. */
class Visit {
  #hooks;
  #isSignedOut = false;
  #tries = 0;
  #timer = 0;
  #away = false;
  #beats = new Order();

  constructor(hooks) {
    this.#hooks = hooks;
    this.api = new Api(() => this.signedOut());
  }

  get isOperator() {
    return RANKS[this.user.role] >= RANKS.operator;
  }
  get isOwner() {
    return this.user.role === "owner";
  }

  async read() {
    this.user = await this.api.session();
    this.me = await this.api.get("/api/me");
    this.keep = new Keep(this.user.user);
  }

  draw() {
    const { me } = this;
    for (const element of document.querySelectorAll("[data-my-name]")) element.textContent = me.name;
    for (const element of document.querySelectorAll("[data-my-role]")) element.textContent = me.role ?? "";
    for (const element of document.querySelectorAll("[data-my-initials]")) element.textContent = initials(me.name);
    for (const element of document.querySelectorAll("[data-role]"))
      element.hidden = (RANKS[element.dataset.role] ?? 0) > (RANKS[me.role] ?? 1);
    for (const element of document.querySelectorAll("[data-sign-out]"))
      element.addEventListener("click", () => this.#signOut());
    this.#menu();
    this.beat();
    addEventListener("online", () => this.beat());
    document.addEventListener("visibilitychange", () => document.hidden || this.beat());
  }

  /** Ask the server for the number of open questions: the badge, and the sign that it is there at all. */
  async beat() {
    clearTimeout(this.#timer);
    const isNews = this.#beats.ask();
    try {
      const { items } = await this.api.get("/api/approvals?state=pending&limit=100");
      if (!isNews()) return;
      this.#count(items.filter((item) => left(item.expires)).length);
      this.#back();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!isNews()) return;
      if (error.passing) this.#gone(error);
    }
    clearTimeout(this.#timer);
    if (this.#isSignedOut) return;
    const wait = this.#away ? waitBefore(this.#tries, FIRST_RETRY_MS, LONGEST_RETRY_MS) : waitBefore(0, EVERY_MS, EVERY_MS);
    this.#timer = setTimeout(() => (document.hidden && !this.#away ? null : this.beat()), wait);
  }

  /** The session is over: say so, once, and where to go. */
  signedOut() {
    if (this.#isSignedOut) return;
    this.#isSignedOut = true;
    if (!this.me) {
      location.replace(signInAgain());
      return;
    }
    notice(
      errorCard({
        title: "You are signed out",
        happened: "Your session ended, here or in another window.",
        kept: "What you typed waits in this browser.",
        now: "Sign in again and go on where you were.",
        actions: [h("a", { class: "btn primary", href: signInAgain() }, "Sign in again")],
      }),
      SIGNED_OUT,
    );
    this.#hooks.onSignedOut?.();
  }
  get isSignedOut() {
    return this.#isSignedOut;
  }

  /** The login is gone, and the page says so itself: nothing is asked any more, nothing is kept in this browser. */
  ended() {
    this.#isSignedOut = true;
    clearTimeout(this.#timer);
    this.keep.clear();
  }

  #gone(error) {
    this.#tries = this.#away ? this.#tries + 1 : 0;
    this.#away = true;
    if (this.#isSignedOut || this.#hooks.ownConnectionCard?.()) return;
    notice(
      errorCard({
        title: "The connection dropped",
        happened: navigator.onLine ? error.message : "This device is offline.",
        kept: "What you see was read before; nothing is lost.",
        now: "It is tried again by itself.",
        actions: [button("again", "Try now", () => this.beat())],
      }),
      "lost",
    );
  }

  #back() {
    if (!this.#away) return;
    this.#away = false;
    this.#tries = 0;
    notice(null, "lost");
    this.#hooks.onBack?.();
  }

  #count(number) {
    for (const element of document.querySelectorAll("[data-waiting]")) {
      element.hidden = number === 0;
      element.textContent = number > 99 ? "99+" : String(number);
      element.setAttribute("aria-label", `${number} waiting`);
    }
  }

  /** The sheet with the rest of the menu on phones. */
  #menu() {
    const more = document.querySelector("[data-more]");
    const open = (isOpen) => {
      more.setAttribute("aria-expanded", String(isOpen));
      byId("more").toggleAttribute("data-open", isOpen);
      if (isOpen) byId("more").querySelector("a, button").focus();
    };
    more.addEventListener("click", () => open(more.getAttribute("aria-expanded") !== "true"));
    addEventListener("click", (event) => {
      if (!event.target.closest?.(".rail") && byId("more").hasAttribute("data-open")) open(false);
    });
    addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !byId("more").hasAttribute("data-open")) return;
      open(false);
      more.focus();
    });
    more.classList.toggle("here", Boolean(byId("more").querySelector("a[aria-current]")));
  }

  async #signOut() {
    const unsent = this.#hooks.unsent?.() ?? 0;
    const text = `${unsent} unsent ${unsent === 1 ? "message" : "messages"} and all drafts in this browser are deleted.`;
    if (unsent && !(await confirmDeed({ title: "Sign out now?", text, yes: "Sign out", no: "Stay" }))) return;
    try {
      await this.api.signOut();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== 401) {
        toast(`Still signed in: ${error.message}`, "error");
        return;
      }
    }
    this.#isSignedOut = true;
    this.#hooks.beforeLeaving?.();
    this.keep.clear();
    location.replace("/sign-in?reason=out");
  }
}

/**
 * Start a page. Resolves to the visit, or to null when it cannot start (the page says why, or is left).
 * Hooks: `onSignedOut()`, `onBack()` when the server answers again, `unsent()` messages, `beforeLeaving()`;
 * `ownConnectionCard()`: whether the page itself tells now that the server is away, or what came of it.
 */
export async function start(hooks = {}) {
  const visit = new Visit(hooks);
  try {
    await visit.read();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) return null; // on its way to the sign-in page
    notice(
      errorCard({
        title: "Antiphon does not answer",
        happened: error.message,
        kept: "Everything that was said, and what you typed.",
        now: "Try again in a moment.",
        actions: [button("again", "Try again", () => location.reload())],
      }),
    );
    hooks.onFailed?.();
    return null;
  }
  visit.draw();
  return visit;
}

/** Run a deed and say what came of it. Resolves to its answer, or null when it failed. */
export async function attempt(deed, said = "") {
  try {
    const answer = await deed();
    if (said) toast(said);
    return answer ?? true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(Object.values(error.fields)[0] ?? error.message, "error");
    return null;
  }
}
