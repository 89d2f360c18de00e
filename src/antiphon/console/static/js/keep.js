// What this browser keeps for a person until the server has it: drafts, unsent messages, what was read.
// Everything is stored per user, so that two people who share a browser never send each other's words.

/** A random id that nothing else has. `randomUUID` is missing where the page is not on a secure address. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Keep {
  #prefix;
  #memory = new Map(); // stands in where the browser refuses storage; it lasts as long as the page

  constructor(user) {
    this.#prefix = `antiphon:${user}:`;
  }

  get(name, otherwise = null) {
    const key = this.#prefix + name;
    let stored = this.#memory.get(key);
    try {
      stored ??= localStorage.getItem(key);
    } catch {
      // refused: only the memory is left
    }
    try {
      return stored ? JSON.parse(stored) : otherwise;
    } catch {
      return otherwise;
    }
  }

  set(name, value) {
    const key = this.#prefix + name;
    const empty = value === null || value === "" || (Array.isArray(value) && value.length === 0);
    this.#memory.delete(key);
    try {
      if (empty) localStorage.removeItem(key);
      else localStorage.setItem(key, JSON.stringify(value));
    } catch {
      if (!empty) this.#memory.set(key, JSON.stringify(value));
    }
  }

  /** Forget everything of this user: after signing out. */
  clear() {
    this.#memory.clear();
    try {
      for (const key of Object.keys(localStorage)) if (key.startsWith(this.#prefix)) localStorage.removeItem(key);
    } catch {
      // refused: nothing was stored
    }
  }
}
