// What the agent would like to remember: a card per question, in the chat and on the page of memories.

import { ApiError } from "./api.js";
import { button, h, icon, toast } from "./dom.js";

export class Proposals {
  #api;
  #place;
  #onDecided;
  #turn = 0; // what was asked for another conversation and comes late is dropped
  #channel = null;
  #decided = new Set(); // an answer from before a decision would ask once more

  /** Shown in `place`, which stays empty while nothing is asked. */
  constructor(api, place, onDecided = () => {}) {
    this.#api = api;
    this.#place = place;
    this.#onDecided = onDecided;
  }

  /** Read what is asked; with `channel` only what came up there. */
  async refresh(channel = null) {
    const turn = ++this.#turn;
    if (channel !== this.#channel) this.#place.replaceChildren(); // those of another conversation
    this.#channel = channel;
    try {
      const { items } = await this.#api.get("/api/proposals?state=pending");
      if (turn !== this.#turn) return;
      const here = items.filter((item) => !this.#decided.has(item.id) && (channel === null || item.channel === channel));
      this.#place.replaceChildren(...here.map((item) => this.#card(item)));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // what is shown stays
    }
  }

  #card(item) {
    const decide = async (verb, said) => {
      const channel = this.#channel;
      this.#decided.add(item.id);
      card.remove();
      try {
        await this.#api.post(`/api/proposals/${item.id}/${verb}`);
        toast(said);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        toast(error.message, "error");
        this.#decided.delete(item.id);
        if (channel === this.#channel) this.#place.append(card);
        this.refresh(this.#channel); // unless it was decided elsewhere
      }
      this.#onDecided();
    };
    const card = h(
      "section",
      { class: "card ask", "aria-label": "May this be remembered?", "data-proposal": item.id },
      h("header", { class: "row" }, icon("book"), h("h3", {}, "Shall I remember this?")),
      h("p", {}, `“${item.text}”`),
      h(
        "div",
        { class: "row wrap" },
        button("check", "Remember it", () => decide("accept", "Remembered"), { kind: "call" }),
        button("cross", "No", () => decide("deny", "Not remembered")),
      ),
    );
    return card;
  }
}
