// The one dialog of the page: a question about a deed, or a name to type. Resolves when it closes.

import { byId } from "./dom.js";

function ask({ title, text, yes, no, danger, value }) {
  const dialog = byId("dialog");
  byId("dialog-title").textContent = title;
  byId("dialog-text").textContent = text;
  byId("dialog-text").hidden = !text;
  byId("dialog-field").hidden = value === undefined;
  const input = byId("dialog-input");
  input.value = value ?? "";
  byId("dialog-no").textContent = no;
  byId("dialog-yes").textContent = yes;
  byId("dialog-yes").className = danger ? "btn danger" : "btn primary";
  dialog.returnValue = "no";
  dialog.showModal();
  if (value !== undefined) input.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? input.value.trim() : null), {
      once: true,
    });
  });
}

/** Ask before something that cannot be taken back. Resolves to true or false. */
export async function confirmDeed({ title, text, yes, no = "Keep it" }) {
  return (await ask({ title, text, yes, no, danger: true })) !== null;
}

/** Ask for a name. Resolves to the text, or null when it was left alone. */
export function askName({ title, value, yes }) {
  return ask({ title, text: "", yes, no: "Cancel", danger: false, value });
}
