// One message of the simulated server, drawn as Discord would: text, embeds, buttons.

import { facts, h } from "./dom.js";
import { render } from "./markdown.js";
import { clock, exact } from "./times.js";

const SQUARES = /[🟥🟨🟩⬛]/gu; // not every computer has a font for them, and the word beside says the same
const STAMP = /<t:(\d+)(?::([tTR]))?>/g;
const STYLES = { 1: "primary", 3: "call", 4: "danger" };
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
const AGO = new Intl.RelativeTimeFormat(undefined, { numeric: "always" });

/** `press(message, button)` is called for a button. */
export function said(message, press) {
  const { author, bot, at, edited, text, reply, only, embeds, buttons, files } = message;
  return h(
    "li",
    { "data-message": message.id },
    reply ? h("span", { class: "to cut" }, `to ${reply.author}: ${reply.text}`) : null,
    h("span", { class: bot ? "who agent" : "who", "aria-hidden": "true" }, author.slice(0, 2)),
    h(
      "div",
      { class: "saying" },
      h(
        "header",
        {},
        h("b", {}, author),
        bot ? h("span", { class: "chip agent" }, "app") : null,
        h("time", { datetime: at, title: exact(at) }, clock(at)),
        edited ? h("span", { class: "muted small" }, "edited") : null,
        only ? h("span", { class: "muted small" }, `only ${only} sees this`) : null,
      ),
      text ? h("div", { class: "text" }, render(stamped(text))) : null,
      ...embeds.map(embed),
      files.length ? h("p", { class: "muted small" }, files.join(", ")) : null,
      ...buttons.map((row) => h("div", { class: "buttons" }, ...row.map((one) => pressable(one, message.id, press)))),
    ),
  );
}

function embed({ title, text, colour, fields, footer }) {
  const element = h("div", { class: "embed" }, h("h3", {}, title), h("div", { class: "text" }, render(stamped(text))));
  if (colour) element.style.setProperty("--embed", `#${colour.toString(16).padStart(6, "0")}`);
  if (fields.length) element.append(facts(fields.map(({ name, value }) => [plain(name), plain(value)])));
  if (footer) element.append(h("footer", {}, footer));
  return element;
}

function pressable({ id, label, style, disabled }, message, press) {
  return h("button", { type: "button", class: `btn ${STYLES[style] ?? ""}`, disabled, onclick: () => press(message, id) }, label || "…");
}

/** Discord's own marks for times, as this reader's clock says them. */
function stamped(text) {
  return text.replace(SQUARES, "■").replace(STAMP, (_, seconds, style) => {
    const at = new Date(Number(seconds) * 1000);
    if (style === "T") return TIME.format(at);
    return style === "R" ? ago(at) : clock(at);
  });
}

function ago(at) {
  const seconds = Math.round((at - Date.now()) / 1000);
  const size = Math.abs(seconds);
  if (size < 60) return AGO.format(seconds, "second");
  if (size < 3600) return AGO.format(Math.round(seconds / 60), "minute");
  return size < 86_400 ? AGO.format(Math.round(seconds / 3600), "hour") : AGO.format(Math.round(seconds / 86_400), "day");
}

const plain = (text) => stamped(text).replace(/\\([\\*_~`|>\[\]()#<@:-])/g, "$1");
