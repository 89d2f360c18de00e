// Where the API is: on this origin, or where the console was told, when it runs apart from the API.

const base = document.documentElement.dataset.api ?? "";

/** Whether the API is on another origin than this page. */
export const isElsewhere = base !== "" && base !== location.origin;

/** The address of a path of the API, for fetch, links and pictures. */
export const apiUrl = (path) => (isElsewhere ? base + path : path);

/** The address of a WebSocket path. */
export const socketUrl = (path) => (isElsewhere ? base : location.origin).replace(/^http/, "ws") + path;

/** What `fetch` is to send along: the session is a cookie of the API's host. */
export const credentials = isElsewhere ? "include" : "same-origin";
