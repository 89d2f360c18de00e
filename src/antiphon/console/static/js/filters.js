// The filters of a page live in its address, so that a filtered view can be kept, sent and gone back to.

const WAIT_MS = 250;

export class Filters {
  #form;
  #onChange;
  #timer = 0;

  /** Every control of `form` with a name is a filter; its value stands in the query unless it is the empty one. */
  constructor(form, onChange) {
    this.#form = form;
    this.#onChange = onChange;
    this.#fill({ keepTyped: true });
    this.#address();
    form.addEventListener("input", (event) => this.#later(event.target.matches("[type=search], [type=text]")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#apply();
    });
    form.addEventListener("reset", () => setTimeout(() => this.#apply()));
    addEventListener("popstate", () => {
      this.#fill();
      this.#onChange(this.values);
    });
  }

  /** {name: value} of what is set. */
  get values() {
    return Object.fromEntries([...new FormData(this.#form)].filter(([, value]) => String(value).trim()));
  }
  get any() {
    return Object.keys(this.values).length > 0;
  }

  set(name, value) {
    const control = this.#form.elements.namedItem(name);
    if (!control) return;
    control.value = value;
    this.#apply();
  }

  clear() {
    for (const control of this.#form.elements) if (control.name) this.#put(control, "");
    this.#apply();
  }

  #later(typing) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#apply(), typing ? WAIT_MS : 0);
  }

  #apply() {
    clearTimeout(this.#timer);
    if (this.#address()) this.#onChange(this.values);
  }

  /** Put what is set into the address. Whether that changed it. */
  #address() {
    const others = [...new URLSearchParams(location.search)].filter(([name]) => !this.#form.elements.namedItem(name));
    const query = new URLSearchParams([...Object.entries(this.values), ...others]).toString();
    const address = location.pathname + (query ? `?${query}` : "");
    if (address === location.pathname + location.search) return false;
    history.replaceState(history.state, "", address);
    return true;
  }

  /** Set the controls as the address says. `keepTyped`: what somebody typed while the page started stays. */
  #fill({ keepTyped = false } = {}) {
    const query = new URLSearchParams(location.search);
    for (const control of this.#form.elements) {
      if (!control.name) continue;
      const asked = query.get(control.name);
      const isSet = control.type === "radio" ? this.#form.elements[control.name].value !== "" : control.value !== "";
      if (asked === null && keepTyped && control.type !== "checkbox" && isSet) continue;
      this.#put(control, asked ?? "");
    }
  }

  #put(control, value) {
    if (control.type === "radio") control.checked = control.value === value;
    else if (control.type === "checkbox") control.checked = value !== "";
    else control.value = value;
  }
}
