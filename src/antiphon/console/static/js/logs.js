// The live log: severity in words and colours, filters, search, pause and clear. For operators.

import { h } from "./dom.js";
import { mark } from "./said.js";
import { clockWithSeconds, exact } from "./times.js";
import { watch } from "./watching.js";

const LEVELS = ["debug", "info", "warning", "error", "critical"];

await watch({
  path: "/api/logs/stream",
  name: "line",
  row,
  pick: (line, { level }) => !level || LEVELS.indexOf(line.level) >= LEVELS.indexOf(level),
  none: ["No line yet", "What the program writes into its log comes here as it happens."],
});

function row(line, words) {
  const keys = Object.entries(line.keys).map(([key, value]) => `${key}=${value}`);
  const text = [line.event, ...keys].join("  ") + (line.exception ? `\n${line.exception}` : "");
  return h(
    "li",
    { class: line.level },
    h("time", { datetime: line.at, title: exact(line.at) }, clockWithSeconds(line.at)),
    h("b", {}, line.level),
    h("span", { class: "what" }, h("span", { class: "src" }, `${line.logger.replace(/^antiphon\./, "")} `), ...mark(text, words)),
  );
}
