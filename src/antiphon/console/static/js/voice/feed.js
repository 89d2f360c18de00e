// The transcript socket of a spoken session: words, who speaks, tools, questions. It is over when the session is.

import { SIGNED_OUT, Stream, UNKNOWN } from "../stream.js";

export class Feed extends Stream {
  /** Handlers: `event(data)`, `open()`, `lost()`, `over(code)` when there is nothing to come back to. */
  constructor(session, handlers) {
    super(`/ws/transcript/${encodeURIComponent(session)}`, [SIGNED_OUT, UNKNOWN], {
      ...handlers,
      frame: (event) => typeof event.type === "string" && handlers.event(event),
    });
  }
}
