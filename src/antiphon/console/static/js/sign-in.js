// The sign-in page: name and password (and a code where one is asked for), or a pasted link.

import { Api, ApiError } from "./api.js";
import { byId } from "./dom.js";
import { linkForm, nextPath } from "./link-form.js";

const api = new Api();

linkForm();
byId("password-form").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn();
});

async function signIn() {
  const proof = { name: byId("name").value.trim(), password: byId("password").value };
  const empty = ["name", "password"].find((field) => !proof[field]);
  if (empty) return say(`Enter your ${empty}.`, empty);
  if (!byId("code-field").hidden) proof.code = byId("code").value.trim();
  byId("password-go").disabled = true;
  say("");
  try {
    await api.post("/api/session", proof);
    location.replace(nextPath());
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    refused(error);
  } finally {
    byId("password-go").disabled = false;
  }
}

function refused(error) {
  if (error.code === "second_factor") {
    byId("code-field").hidden = false;
    say("Now the code of your authenticator app.", "code");
  } else if (error.status === 429) say(`${error.message} (${error.retryAfter ?? 60} s)`, "password");
  else if (error.passing) say("Antiphon does not answer. Nothing was lost; try again in a moment.", "password");
  else say(error.message, "code" in error.fields ? "code" : "password");
}

function say(text, field = "") {
  byId("password-problem").textContent = text;
  for (const id of ["name", "password", "code"]) byId(id).toggleAttribute("aria-invalid", false);
  if (!field) return;
  if (field !== "code" || byId("code").value) byId(field).setAttribute("aria-invalid", "true");
  byId(field).focus();
}
