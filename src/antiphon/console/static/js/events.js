// The events of the bus as they are published, without anybody's words. For operators.

import { h } from "./dom.js";
import { mark } from "./said.js";
import { clockWithSeconds, exact } from "./times.js";
import { watch } from "./watching.js";

const kindOf = ({ topic }) => topic.split(".")[0];

await watch({
  path: "/api/events/stream",
  name: "event",
  row,
  pick: (event, { kind }) => !kind || (kind === "turn") === (kindOf(event) === "turn"),
  none: ["No event yet", "What the parts of the program tell each other comes here as it happens."],
});

function shown(value) {
  if (typeof value === "number") return Number(value.toPrecision(6));
  return typeof value === "object" ? JSON.stringify(value) : value;
}

function row(event, words) {
  const fields = Object.entries(event.payload).map(([key, value]) => `${key}=${shown(value)}`);
  const tone = event.name.endsWith("failed") ? "error" : event.name === "approval.needed" ? "warning" : "info";
  return h(
    "li",
    { class: `event ${tone}` },
    h("time", { datetime: event.at, title: exact(event.at) }, clockWithSeconds(event.at)),
    h("b", {}, ...mark(event.name, words)),
    h("span", { class: "what" }, h("span", { class: "src" }, ...mark(`${event.topic} `, words)), ...mark(fields.join("  "), words)),
  );
}
