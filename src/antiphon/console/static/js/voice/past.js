// What the list and the page of past sessions both say about one.

import { h } from "../dom.js";

/** How long it lasted. */
export function lasted({ started_at: from, ended_at: to }) {
  const seconds = Math.max(0, (to ? new Date(to).getTime() : Date.now()) - new Date(from).getTime()) / 1000;
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Whether it is going on. */
export function stateChip({ ended_at: ended }) {
  return h("span", { class: `chip ${ended ? "" : "agent"}` }, ended ? "ended" : "going on");
}
