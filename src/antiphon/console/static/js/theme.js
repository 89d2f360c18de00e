// Light, dark, or what the system says. A classic script in <head> without defer, so that no page flashes.
(() => {
  const root = document.documentElement;
  const order = ["system", "light", "dark"];
  const key = "antiphon-theme";

  const read = () => {
    try {
      const stored = localStorage.getItem(key);
      return order.includes(stored) ? stored : "system";
    } catch {
      return "system";
    }
  };
  const apply = (theme) => {
    if (theme === "system") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme);
  };
  const label = (theme) => {
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      button.setAttribute("aria-label", `Theme: ${theme}. Change`);
      button.title = `Theme: ${theme}`;
    }
  };

  apply(read());
  addEventListener("DOMContentLoaded", () => label(read()));
  addEventListener("storage", (event) => {
    if (event.key === key) apply(read());
  });
  addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-theme-toggle]")) return;
    const next = order[(order.indexOf(read()) + 1) % order.length];
    try {
      localStorage.setItem(key, next);
    } catch {
      // a private window: the choice lasts for this page
    }
    apply(next);
    label(next);
  });
})();
