// The one dialog of the page: a question about a deed, or a few fields to fill in. Resolves when it closes.

import { byId, h } from "./dom.js";

let isAsking = false;

/** `fields`: [{name, label, type?, value?, options?, required?, rows?, maxlength?, hint?}] become form controls. */
function ask({ title, text = "", yes, no, danger = false, fields = [], check = () => "" }) {
  if (isAsking) return Promise.resolve(null); // pressed twice: what is typed into the first stays
  isAsking = true;
  const dialog = byId("dialog");
  byId("dialog-title").textContent = title;
  byId("dialog-text").textContent = text;
  byId("dialog-text").hidden = !text;
  byId("dialog-problem").textContent = "";
  byId("dialog-fields").replaceChildren(...fields.map(fieldOf));
  byId("dialog-no").textContent = no;
  byId("dialog-yes").textContent = yes;
  byId("dialog-yes").className = danger ? "btn danger" : "btn primary";
  const form = dialog.querySelector("form");
  const values = () => Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value).trim()]));
  const refuse = (event) => {
    if (event.submitter?.value !== "yes") return;
    const problem = check(values());
    byId("dialog-problem").textContent = problem;
    if (problem) event.preventDefault();
  };
  form.addEventListener("submit", refuse);
  const before = document.activeElement;
  dialog.returnValue = "no";
  dialog.showModal();
  const first = byId("dialog-fields").querySelector("input, textarea, select");
  first?.focus();
  first?.select?.();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        isAsking = false;
        form.removeEventListener("submit", refuse);
        if (before?.isConnected) before.focus({ preventScroll: true });
        resolve(dialog.returnValue === "yes" ? values() : null);
      },
      { once: true },
    );
  });
}

function fieldOf({ name, label, type = "text", value = "", options, hint, ...more }) {
  const common = { name, autocomplete: "off", ...more };
  let control;
  if (options) {
    control = h("select", common, ...options.map(([key, word]) => h("option", { value: key }, word)));
    control.value = value;
  } else if (type === "textarea") {
    control = h("textarea", { rows: 3, ...common });
    control.value = value;
  } else control = h("input", { type, value, maxlength: 120, ...common });
  return h("label", { class: "field" }, label, " ", control, hint ? h("small", {}, hint) : null);
}

/** Ask before something that cannot be taken back. Resolves to true or false. */
export async function confirmDeed({ title, text, yes, no = "Keep it" }) {
  return (await ask({ title, text, yes, no, danger: true })) !== null;
}

/** Ask for several things. `check(values)` gives a problem to show, or "". Resolves to {name: text}, or null. */
export function askForm({ title, text, yes, no = "Cancel", fields, check, danger }) {
  return ask({ title, text, yes, no, fields, check, danger });
}
