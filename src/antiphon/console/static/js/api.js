// The one way to /api: JSON both ways, the CSRF token, and every failure as one kind of error.

import { apiUrl, credentials, isElsewhere } from "./server.js";
import { learnTime } from "./times.js";

const TIMEOUT_MS = 20_000;
const UPLOAD_MS = 600_000;
const UNREACHED = "The API does not answer, or it does not know the address of this page (http.allowed_origins).";

/** What went wrong with a request. `status` is 0 when no answer came (offline, server down, too slow). */
export class ApiError extends Error {
  constructor(status, code, message, { fields = {}, retryAfter = null } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.fields = fields;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may work later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export class Api {
  #csrf = "";
  #user = null;
  #leaving = new AbortController();
  #onSignedOut;

  /** `onSignedOut` is called when the server does not know this session (any more). */
  constructor(onSignedOut = () => {}) {
    this.#onSignedOut = onSignedOut;
  }

  get(path) {
    return this.#call("GET", path);
  }
  post(path, body = {}) {
    return this.#call("POST", path, body);
  }
  patch(path, body) {
    return this.#call("PATCH", path, body);
  }
  /** `keepalive`: also when the page is being left. */
  delete(path, { keepalive = false } = {}) {
    return this.#call("DELETE", path, undefined, { keepalive });
  }
  /** Send a file as it is. */
  upload(path, file, type = "application/octet-stream") {
    return this.#call("POST", path, file, { type });
  }
  /** What is answered as a file: {name, blob}. */
  file(method, path) {
    return this.#call(method, path, method === "GET" ? undefined : {}, { asFile: true });
  }

  /** Who is signed in: {user, person, role, csrf}. */
  async session(dropped = this.#leaving.signal) {
    const session = await this.#call("GET", "/api/session", undefined, { dropped });
    if (this.#user !== null && session.user !== this.#user) {
      // Somebody else signed in with this browser: what this page holds is not theirs, and must not be sent as theirs.
      this.#onSignedOut();
      throw new ApiError(401, "unauthenticated", "Somebody else is signed in with this browser now.");
    }
    this.#user = session.user;
    this.#csrf = session.csrf ?? "";
    return session;
  }

  /** Sign out. What is under way or still to come is dropped: it would only be refused. */
  async signOut() {
    this.#leaving.abort();
    try {
      await this.#call("DELETE", "/api/session", undefined, { dropped: AbortSignal.timeout(TIMEOUT_MS) });
    } catch (error) {
      this.#leaving = new AbortController(); // still signed in: go on
      throw error;
    }
  }

  async #call(method, path, body, how = {}) {
    const { again = true, type = "application/json", asFile = false, dropped = this.#leaving.signal, keepalive = false } = how;
    const headers = { Accept: asFile ? "*/*" : "application/json" };
    if (method !== "GET") headers["X-CSRFToken"] = this.#csrf;
    const isFile = body instanceof Blob;
    if (body !== undefined) headers["Content-Type"] = type;
    let response, text;
    try {
      response = await fetch(apiUrl(path), {
        method,
        headers,
        body: body === undefined || isFile ? body : JSON.stringify(body),
        credentials,
        keepalive,
        signal: AbortSignal.any([dropped, AbortSignal.timeout(isFile || asFile ? UPLOAD_MS : TIMEOUT_MS)]),
      });
      learnTime(response.headers.get("Date"));
      if (asFile && response.ok) return { name: nameOf(response), blob: await response.blob() };
      text = await response.text();
    } catch {
      throw new ApiError(0, "no_connection", isElsewhere ? UNREACHED : "The server does not answer.");
    }
    if (response.ok) return text ? JSON.parse(text) : null;
    if (response.status === 403 && method !== "GET" && again) {
      await this.session(dropped); // the token may have been renewed in another tab
      return this.#call(method, path, body, { ...how, again: false });
    }
    if (response.status === 401) this.#onSignedOut();
    throw failure(response, text);
  }
}

const nameOf = (response) => /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1] ?? "file";

function failure(response, text) {
  let error = {};
  try {
    error = JSON.parse(text).error ?? {};
  } catch {
    // not ours: a proxy answered with a page of its own
  }
  const message = error.message || `The server answered ${response.status} ${response.statusText}`.trim();
  return new ApiError(response.status, error.code ?? "error", message, {
    fields: error.fields,
    retryAfter: Number(response.headers.get("Retry-After")) || null,
  });
}

/** Every item of a list, page by page, at most `pages` of them. */
export async function all(api, path, pages = 10) {
  const items = [];
  const [address, query = ""] = path.split("?");
  const values = Object.fromEntries(new URLSearchParams(query));
  let cursor = "";
  for (let page = 0; page < pages; page += 1) {
    const list = await api.get(withQuery(address, { ...values, cursor }));
    items.push(...list.items);
    if (!list.next) break;
    cursor = list.next;
  }
  return items;
}

/** `path` with the query values that are not empty. */
export function withQuery(path, values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  return query.size ? `${path}?${query}` : path;
}
