// Logins of the console: inviting, roles, a new link, locking out. Owners manage everybody, operators members.

import { askForm, confirmDeed } from "./dialog.js";
import { button, byId, h } from "./dom.js";
import { empty, List } from "./list.js";
import { attempt, start } from "./shell.js";
import { showOnce } from "./shown-once.js";
import { brief, due, exact } from "./times.js";

const visit = await start({ onBack: () => list.refresh() });
let list;

if (visit) {
  list = new List(byId("list"), {
    api: visit.api,
    path: () => "/api/users",
    order: (a, b) => Number(a.id) - Number(b.id),
    caption: "Logins",
    empty: () => empty("Nobody but you", "Invite somebody: they get a link that works once."),
    columns: [
      { label: "Login", kind: "text", cell: name },
      { label: "Role", cell: (user) => h("span", { class: "chip" }, user.role) },
      { label: "Signs in by", kind: "hide-mid", cell: proof },
      { label: "Last signed in", kind: "n", cell: (user) => when(user.last_signed_in_at) },
      { label: "", kind: "n", cell: actions },
    ],
  });
  list.reload();
  byId("invite").addEventListener("click", invite);
  byId("invite").disabled = false; // a click before this would go unheard
}

const when = (at) => (at ? h("time", { datetime: at, title: exact(at) }, brief(at)) : "never");

function name(user) {
  const out = user.active ? null : h("span", { class: "chip bad" }, "locked out");
  const you = user.id === visit.user.user ? h("span", { class: "chip good" }, "you") : null;
  return h("span", { class: "row wrap" }, user.name, you, out);
}

function proof(user) {
  if (user.totp) return "password and code";
  return user.password ? "password" : "link";
}

function actions(user) {
  if (!user.manageable) return "";
  const row = [];
  if (user.active) {
    row.push(button("link", "", () => link(user), { label: `New sign-in link for ${user.name}` }));
    if (visit.isOwner) row.push(button("shield", "", () => role(user), { label: `Role of ${user.name}` }));
    row.push(button("again", "", () => reset(user), { label: `Take password and app of ${user.name} away` }));
    row.push(button("cross", "", () => lockOut(user), { label: `Lock ${user.name} out` }));
  } else row.push(button("check", "Let in", () => letIn(user), { label: `Let in ${user.name}` }));
  return h("span", { class: "row tight" }, ...row);
}

const roles = () => (visit.isOwner ? ["member", "operator", "owner"] : ["member"]).map((word) => [word, word]);

async function invite() {
  const answer = await askForm({
    title: "Invite somebody",
    text: "They get a login of their own and a link that works once, for a day.",
    yes: "Make the link",
    fields: [
      { name: "name", label: "Name to sign in with", required: true, maxlength: 150 },
      { name: "role", label: "Role", options: roles(), value: "member", hint: "Members talk; operators run the place; owners may do everything." },
    ],
  });
  if (!answer) return;
  const made = await attempt(() => visit.api.post("/api/users", answer));
  if (!made) return;
  await list.reload();
  show(made.user, made.link);
}

function show(user, made) {
  showOnce(byId("shown-once"), {
    title: `A link for ${user.name}`,
    text: `Give it to them yourself. It works once, until ${due(made.expires)}, and is not shown again.`,
    secret: made.url,
  });
}

async function link(user) {
  const made = await attempt(() => visit.api.post(`/api/users/${user.id}/link`));
  if (made) show(user, made);
}

async function role(user) {
  const answer = await askForm({
    title: `Role of ${user.name}`,
    yes: "Change it",
    fields: [{ name: "role", label: "Role", options: roles(), value: user.role }],
  });
  if (answer) change(user, answer, "Role changed");
}

async function reset(user) {
  const text = "Their password and app do not count any more and every browser of theirs is signed out. You get a new link for them.";
  if (!(await confirmDeed({ title: `Start over for ${user.name}?`, text, yes: "Take them away", no: "Leave them" }))) return;
  const done = await attempt(() => visit.api.post(`/api/users/${user.id}/reset`));
  if (!done) return;
  list.update(done.user);
  show(done.user, done.link);
}

async function lockOut(user) {
  const text = "Every browser and key of theirs ends at once. What they said stays.";
  if (await confirmDeed({ title: `Lock ${user.name} out?`, text, yes: "Lock them out", no: "Leave them in" }))
    change(user, { active: false }, "Locked out");
}

function letIn(user) {
  change(user, { active: true }, "May sign in again");
}

async function change(user, body, said) {
  const changed = await attempt(() => visit.api.patch(`/api/users/${user.id}`, body), said);
  if (changed) list.update(changed);
  else list.refresh();
}
