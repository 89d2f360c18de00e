// Building elements without HTML strings: whatever a person or a tool said can only ever become text.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. Throws when the template lost it. */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

/** Create an element. `props`: attributes; `onclick` and friends become listeners; false and null are left out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** One of the icons of icons.html. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "i");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Make the children of `parent` exactly `wanted`, moving as little as possible: focus and open details survive. */
export function reconcile(parent, wanted) {
  const keep = new Set(wanted);
  for (const child of [...parent.childNodes]) if (!keep.has(child)) child.remove();
  let here = parent.firstChild;
  for (const node of wanted) {
    if (node === here) here = here.nextSibling;
    else parent.insertBefore(node, here);
  }
}

/** A definition list of facts from pairs [label, text or node]; empty values are left out. */
export function facts(pairs) {
  const list = h("dl", { class: "facts" });
  for (const [label, value] of pairs) if (value) list.append(h("dt", {}, label), h("dd", {}, value));
  return list;
}

/** The card for anything that went wrong: what happened, what was kept, what to do now. */
export function errorCard({ title, happened, kept, now, actions = [] }) {
  return h(
    "section",
    { class: "card err" },
    h("h3", { class: "row" }, icon("error"), title),
    facts([
      ["Happened", happened],
      ["Kept", kept],
      ["Now", now],
    ]),
    actions.length ? h("div", { class: "row wrap" }, ...actions) : null,
  );
}

/** A short word about something that needs no more; `action`: {label, run} for what can be undone. */
export function toast(text, iconName = "check", action = null) {
  const element = h("div", { class: "toast" }, icon(iconName), h("span", {}, text));
  if (action) {
    const run = () => {
      element.remove();
      action.run();
    };
    element.append(h("button", { type: "button", class: "btn", onclick: run }, action.label));
  }
  byId("toasts").append(element);
  setTimeout(() => element.remove(), action ? 10_000 : 4000);
}

/** A button with an icon and a word; without a word, `label` names it. */
export function button(iconName, word, onclick, { kind = "", label = null, ...props } = {}) {
  const shape = `btn ${kind}${word ? "" : " icon"}`;
  return h("button", { type: "button", class: shape, "aria-label": label, title: label, onclick, ...props }, icon(iconName), word);
}

/** Copy text and say so. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("The browser did not allow copying", "error");
  }
}
