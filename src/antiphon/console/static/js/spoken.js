// One spoken session of the past: what was said, how quick the answers were, the recording where there is one.

import { ApiError } from "./api.js";
import { confirmDeed } from "./dialog.js";
import { byId, errorCard, facts, h } from "./dom.js";
import { apiUrl } from "./server.js";
import { attempt, notice, start } from "./shell.js";
import { exact } from "./times.js";
import { lasted, stateChip } from "./voice/past.js";
import { reasonWords } from "./voice/troubles.js";
import { legend, Waterfall } from "./voice/waterfall.js";
import { Words } from "./voice/words.js";

const visit = await start();
const path = `/api/voice/sessions/${encodeURIComponent(document.body.dataset.session)}`;

if (visit) await open();

async function open() {
  try {
    draw(await visit.api.get(path));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) return;
    const isGone = error.status === 404;
    notice(
      errorCard({
        title: isGone ? "This session is not there" : "The session could not be read",
        happened: error.message,
        kept: isGone ? null : "Everything that was said.",
        now: isGone ? "It may have been deleted. Look for it among the past sessions." : "Load the page again in a moment.",
      }),
    );
  }
}

function draw(session) {
  byId("title").textContent = session.title || `Room ${session.room}`;
  byId("subtitle").textContent = `Room ${session.room}, ${exact(session.started_at)}`;
  byId("state").replaceChildren(stateChip(session));
  byId("facts").replaceWith(facts(about(session)));
  byId("panels").hidden = false;
  const words = new Words(byId("words"), session.identity || visit.me.name);
  const said = session.segments.map((segment) => ({ at: segment.at, tell: () => words.say(segment) }));
  const done = session.tools.map((tool) => ({ at: tool.at, tell: () => words.tool(tool) }));
  for (const { tell } of [...said, ...done].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))) tell();
  const waterfall = new Waterfall(byId("latency"), Infinity);
  for (const turn of session.turns ?? []) waterfall.add(turn);
  byId("legend").replaceChildren(legend());
  if (session.recording) byId("player").replaceChildren(player(session));
  byId("delete").hidden = false;
  byId("delete").addEventListener("click", remove);
}

function about(session) {
  return [
    ["Room", session.room],
    ["Name", session.identity],
    ["Began", h("time", { datetime: session.started_at }, exact(session.started_at))],
    ["Lasted", lasted(session)],
    ["Over because", session.ended_at ? (session.reason === "stopped" ? "it was ended" : reasonWords(session.reason)) : null],
    ["Carried by", session.transport],
    ["Language", session.language],
    ["Voice", session.voice],
    ["Asked to", session.system_prompt],
    ["In writing", session.channel ? h("a", { href: `/c/${encodeURIComponent(session.channel)}` }, "the same conversation") : null],
  ];
}

function player(session) {
  const address = apiUrl(`${path}/recording`);
  return h("audio", { controls: true, preload: "metadata", src: address, "aria-label": `Recording of ${session.room}` });
}

async function remove() {
  const isSure = await confirmDeed({
    title: "Delete this session?",
    text: "Its transcript, its recording and its figures are deleted for good. What was agreed in it, reminders for example, stays.",
    yes: "Delete it",
  });
  if (!isSure) return;
  const done = await attempt(() => visit.api.delete(path));
  if (done) location.assign("/voice/past");
}
