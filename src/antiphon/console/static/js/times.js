// Times as people read them, always in the browser's own zone.

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const CLOCK_SECONDS = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const LONG_DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

const TOLERATED_MS = 30_000; // the header counts whole seconds, and an answer takes its time

let behind = 0; // how far this device's clock is behind the server's, where it is far off

/** Take note of the server's time, from the Date header of an answer. */
export function learnTime(header) {
  const difference = Date.parse(header ?? "") - Date.now();
  if (!Number.isNaN(difference)) behind = Math.abs(difference) > TOLERATED_MS ? difference : 0;
}

/** The time now, in milliseconds, right also on a device whose clock is wrong. */
export const now = () => Date.now() + behind;

const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
const daysFrom = (date) => Math.round((midnight(date) - midnight(new Date(now()))) / 86_400_000);

export const clock = (at) => CLOCK.format(new Date(at));
export const clockWithSeconds = (at) => CLOCK_SECONDS.format(new Date(at));
export const exact = (at) => EXACT.format(new Date(at));
export const sameDay = (a, b) => midnight(new Date(a)) === midnight(new Date(b));
export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** The heading of a day in the log. */
export function day(at) {
  const days = daysFrom(new Date(at));
  if (days === 0) return "Today";
  if (days === -1) return "Yesterday";
  return LONG_DAY.format(new Date(at));
}

/** The time beside a conversation: now, 18:42, Thu, 9 Nov. */
export function brief(at) {
  const date = new Date(at);
  if (now() - date.getTime() < 60_000) return "now";
  const days = daysFrom(date);
  if (days === 0) return CLOCK.format(date);
  return days > -7 ? WEEKDAY.format(date) : DAY.format(date);
}

/** When something is due: "18:42", "tomorrow 09:00", "Fri 27 Nov, 09:00". */
export function due(at) {
  const date = new Date(at);
  const days = daysFrom(date);
  if (days === 0) return `today ${CLOCK.format(date)}`;
  if (days === 1) return `tomorrow ${CLOCK.format(date)}`;
  return `${WEEKDAY.format(date)} ${DAY.format(date)}, ${CLOCK.format(date)}`;
}

/** Time left as "9:12", or null when none is left. `until`: a time of the server's, or a number by this device's clock. */
export function left(until) {
  const here = typeof until === "number" ? Date.now() : now();
  const seconds = Math.ceil((new Date(until).getTime() - here) / 1000);
  if (seconds <= 0) return null;
  const rest = String(seconds % 60).padStart(2, "0");
  return `${Math.floor(seconds / 60)}:${rest}`;
}

/** How long something took: "14 ms", "1.2 s". */
export function took(seconds) {
  if (seconds === 0) return "0 s";
  return seconds < 1 ? `${Math.max(1, Math.round(seconds * 1000))} ms` : `${seconds.toFixed(1)} s`;
}
