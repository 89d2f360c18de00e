// What the list and the page of past sessions both say about one.

import { h } from "../dom.js";
import { took } from "../times.js";

/** How long it lasted. */
export function lasted({ started_at: from, ended_at: to }) {
  const seconds = Math.max(0, (to ? new Date(to).getTime() : Date.now()) - new Date(from).getTime()) / 1000;
  if (seconds < 60) return took(Math.round(seconds));
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** Whether it is going on. */
export function stateChip({ ended_at: ended }) {
  return h("span", { class: `chip ${ended ? "" : "agent"}` }, ended ? "ended" : "going on");
}
