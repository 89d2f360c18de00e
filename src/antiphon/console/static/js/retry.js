// How long to wait before the next try: twice as long each time, and never quite the same, so that many pages do not
// come back in the same moment.

/** Milliseconds. `tries`: how many failed before this one; `first` and `longest` bound it. */
export const waitBefore = (tries, first, longest) => Math.min(longest, first * 2 ** tries) * (0.75 + Math.random() / 2);
