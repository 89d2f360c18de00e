// The page behind a sign-in link: sends the token, then goes to the conversations, or says what to do instead.

import { Api, ApiError } from "./api.js";
import { byId } from "./dom.js";
import { Keep } from "./keep.js";
import { linkForm, nextPath } from "./link-form.js";

const REFUSED = {
  title: "This link does not work any more",
  happened: "It was used before, or it is older than 15 minutes.",
  kept: "Everything you said. A link only opens the door.",
  now: "Get a fresh one as written below.",
};
const BUSY = {
  title: "Too many tries",
  happened: "Somebody tried many links from here.",
  kept: "Your link: it is not used up.",
};
const SILENT = {
  title: "Antiphon does not answer",
  kept: "Your link: it is not used up, unless the answer was lost on its way.",
  now: "Try again in a moment.",
};

async function enter() {
  byId("working").hidden = false;
  byId("failed").hidden = true;
  try {
    await new Api().post("/api/session", { token: byId("working").dataset.token });
    location.replace(await firstPage());
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    show(error);
  }
}

/** Where to go: the wanted page, or the set-up page while nothing is set up yet and nobody chose to skip it. */
async function firstPage() {
  const wanted = nextPath();
  if (wanted !== "/") return wanted;
  try {
    const api = new Api();
    const { role, user } = await api.session();
    if (role !== "owner" || new Keep(user).get("set-up-skipped")) return wanted;
    const { items } = await api.get("/api/settings");
    return items.some((item) => item.key === "model" && item.value) ? wanted : "/setup";
  } catch {
    return wanted;
  }
}

function show(error) {
  let words = { ...SILENT, happened: error.message };
  if (error.status === 429) words = { ...BUSY, now: `Try again in ${error.retryAfter ?? 60} seconds.` };
  else if (!error.passing) words = REFUSED;
  for (const part of ["title", "happened", "kept", "now"]) byId(`failed-${part}`).textContent = words[part];
  byId("again").hidden = !error.passing;
  byId("working").hidden = true;
  byId("failed").hidden = false;
  document.querySelector(".songbird").dataset.state = "error";
}

byId("again").addEventListener("click", enter);
linkForm();
enter();
