// The own login: who you are, password, authenticator app, the browsers that are signed in, and one's data: taken along
// or erased.

import { ApiError } from "./api.js";
import { askForm, confirmDeed } from "./dialog.js";
import { button, byId, copy, facts, h, icon, toast } from "./dom.js";
import { save } from "./export.js";
import { List } from "./list.js";
import { attempt, start } from "./shell.js";
import { brief, exact, zone } from "./times.js";

const visit = await start({ onBack: () => sessions?.refresh() });
let account, sessions;

if (visit) {
  account = await attempt(() => visit.api.get("/api/account"));
  if (account) begin();
}

function begin() {
  byId("account").hidden = false;
  about();
  byId("password").addEventListener("submit", (event) => submit(event, choosePassword));
  draw();
  sessions = new List(byId("sessions"), {
    api: visit.api,
    path: () => "/api/sessions",
    caption: "Browsers that are signed in as you",
    columns: [
      { label: "Browser", kind: "text", cell: browser },
      { label: "From", cell: (one) => one.address || "unknown" },
      { label: "Last used", kind: "n", cell: (one) => h("time", { datetime: one.seen_at, title: exact(one.seen_at) }, brief(one.seen_at)) },
      { label: "", kind: "n", cell: (one) => (one.current ? "" : button("leave", "", () => end(one), { label: `Sign out ${agent(one)}` })) },
    ],
    empty: () => h("p", { class: "muted" }, "Only this browser."),
  });
  sessions.reload();
  byId("others").addEventListener("click", endOthers);
  byId("take").addEventListener("click", take);
  byId("erase").addEventListener("click", erase);
}

function about() {
  const form = byId("about");
  for (const name of ["name", "timezone", "language"]) form.elements[name].value = visit.me[name];
  const zones = Intl.supportedValuesOf?.("timeZone") ?? [zone()];
  byId("zones").replaceChildren(...zones.map((name) => h("option", { value: name })));
  form.addEventListener("submit", (event) =>
    submit(event, async () => {
      const change = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value).trim()]));
      visit.me = await visit.api.patch("/api/me", change);
      for (const element of document.querySelectorAll("[data-my-name]")) element.textContent = visit.me.name;
      toast("Saved");
    }),
  );
}

/** Run what a form is for and show what is wrong under it. */
async function submit(event, deed) {
  event.preventDefault();
  const form = event.currentTarget;
  const problem = byId(`${form.id}-problem`);
  problem.textContent = "";
  for (const field of form.elements) field.removeAttribute("aria-invalid");
  try {
    await deed();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    problem.textContent = error.message;
    const wrong = Object.keys(error.fields).map((name) => form.elements[name]).find(Boolean);
    wrong?.setAttribute("aria-invalid", "true");
    wrong?.focus();
  }
}

async function choosePassword() {
  const form = byId("password");
  const body = { password: form.elements.password.value };
  if (account.password) body.current = form.elements.current.value;
  account = await visit.api.post("/api/account/password", body);
  form.elements.password.value = form.elements.current.value = "";
  toast("Password chosen");
  draw();
  sessions.reload();
}

function draw() {
  byId("password").elements.username.value = account.name;
  byId("current-field").hidden = !account.password;
  state("password-state", account.password, "chosen", "none");
  state("totp-state", account.totp, "on", "off");
  byId("totp").replaceChildren(...totp());
}

function state(id, good, yes, no) {
  byId(id).textContent = good ? yes : no;
  byId(id).className = `push chip${good ? " good" : ""}`;
}

function totp() {
  if (!account.password)
    return [h("p", { class: "muted small" }, "Choose a password first: the code of the app is asked for after it.")];
  if (!account.totp)
    return [
      h("p", { class: "small muted" }, "Then a password alone is not enough: a code of an app on your phone comes with it."),
      button("plus", "Set up an app", beginTotp),
    ];
  const left = account.recovery_codes_left;
  return [
    h("p", { class: "small muted" }, `${left} recovery ${left === 1 ? "code is" : "codes are"} left.`),
    h("div", { class: "row wrap" }, button("again", "New app or new codes", beginTotp), button("cross", "Turn it off", endTotp)),
  ];
}

async function password(title, yes) {
  const fields = [{ name: "password", label: "Your password", type: "password", required: true, maxlength: 1024 }];
  return askForm({ title, text: "So that an unlocked screen is not enough.", yes, fields });
}

async function beginTotp() {
  const proof = await password("Is it you?", "Go on");
  if (!proof) return;
  const begun = await attempt(() => visit.api.post("/api/account/totp", proof));
  if (!begun) return;
  const code = h("input", { autocomplete: "one-time-code", inputmode: "numeric", maxlength: 10, name: "code", required: true });
  const problem = h("p", { class: "problem small", role: "alert" });
  const form = h(
    "form",
    { class: "totp", novalidate: true },
    h("img", { src: begun.qr, alt: "QR code for your authenticator app", width: 200, height: 200 }),
    h(
      "div",
      {},
      h("p", { class: "small" }, "Scan this with the app, or type the key: ", h("code", {}, begun.secret.match(/.{1,4}/g).join(" "))),
      h("label", { class: "field" }, "The code it shows now", code),
      problem,
      h("button", { type: "submit", class: "btn primary" }, "Turn it on"),
    ),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const done = await visit.api.post("/api/account/totp/confirm", { code: code.value });
      account = await visit.api.get("/api/account");
      draw();
      showCodes(done.recovery_codes);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.textContent = error.message;
      code.select();
    }
  });
  byId("totp").replaceChildren(form);
  code.focus();
}

function showCodes(codes) {
  byId("totp").prepend(
    h(
      "div",
      { class: "card ask", role: "alert" },
      h("h3", {}, "Keep these recovery codes now"),
      h("p", { class: "small" }, "Each opens the door once when the phone is lost. They are not shown again."),
      h("ul", { class: "plain codes mono" }, ...codes.map((one) => h("li", {}, one))),
      button("copy", "Copy all", () => copy(codes.join("\n"))),
    ),
  );
}

async function endTotp() {
  const proof = await password("Turn the app off?", "Turn it off");
  if (!proof) return;
  const done = await attempt(() => visit.api.post("/api/account/totp/end", proof), "The password alone is enough now");
  if (!done) return;
  account = done;
  draw();
}

function agent(one) {
  const name = /(Edg|OPR|Firefox|Chrome|Safari)/.exec(one.agent)?.[1];
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(one.agent)?.[1];
  const known = { Edg: "Edge", OPR: "Opera" }[name] ?? name;
  return known ? `${known}${system ? ` on ${system}` : ""}` : one.agent.slice(0, 60) || "A browser";
}

function browser(one) {
  const since = `since ${exact(one.started_at)}`;
  return h("span", {}, `${agent(one)} `, one.current ? h("span", { class: "chip good" }, "this one") : null, h("small", {}, since));
}

async function end(one) {
  if (!(await confirmDeed({ title: `Sign out ${agent(one)}?`, text: "Its pages end at once.", yes: "Sign it out" }))) return;
  if (await attempt(() => visit.api.delete(`/api/sessions/${one.id}`), "Signed out")) sessions.remove(one.id);
  else sessions.refresh();
}

async function endOthers() {
  const text = "Every other browser of yours has to sign in again.";
  if (!(await confirmDeed({ title: "Sign out everywhere else?", text, yes: "Sign them out", no: "Leave them" }))) return;
  if (await attempt(() => visit.api.delete("/api/sessions"), "Signed out everywhere else")) sessions.reload();
}

async function take() {
  const taking = byId("take");
  taking.disabled = true;
  taking.lastChild.textContent = "Collecting";
  const file = await attempt(() => visit.api.file("POST", "/api/me/export"), "Your data is in your downloads");
  if (file) save(file);
  taking.lastChild.textContent = "Export my data";
  taking.disabled = false;
}

async function erase() {
  const { words } = byId("erase").dataset;
  const sure = await askForm({
    title: "Erase everything about you?",
    text: "Your own conversations go whole; among others your words go. Nobody can bring any of it back.",
    yes: "Erase it all",
    no: "Keep everything",
    danger: true,
    fields: [{ name: "confirm", label: "To do it, write", hint: words, required: true }],
    check: ({ confirm }) => (confirm === words ? "" : `Write exactly: ${words}`),
  });
  if (!sure) return;
  byId("erase").disabled = true;
  const receipt = await attempt(() => visit.api.post("/api/me/erase", { confirm: sure.confirm }));
  byId("erase").disabled = false;
  if (receipt) gone(receipt);
}

/** The receipt is the last thing this login sees. */
function gone({ at, erased }) {
  visit.ended();
  const word = (kind) => kind.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());
  byId("account").replaceChildren(
    h(
      "section",
      { class: "card", role: "status", id: "receipt" },
      h("h2", { class: "row" }, icon("check"), "Everything about you is erased"),
      h("p", { class: "small muted" }, `${exact(at)}. This receipt is not kept: copy it if you want to have it.`),
      facts(Object.entries(erased).map(([kind, count]) => [word(kind), String(count)])),
      h(
        "div",
        { class: "row wrap" },
        button("copy", "Copy", () => copy(JSON.stringify({ at, erased }, null, 2))),
        h("a", { class: "btn", href: "/sign-in" }, "To the sign-in page"),
      ),
    ),
  );
}
