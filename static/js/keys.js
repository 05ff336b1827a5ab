// Single keys that work wherever the focus is, such as "/": who speaks to the computer, or touches keys by chance, turns
// them off in the search help, for this browser.
"use strict";
(() => {
  const STORED = "gatebook_single_keys";
  const FIELDS = "input, select, textarea";
  const FOCUSED = `${FIELDS}, .log-table, #panel`; // there a key acts on what has the focus, but for those that lead away
  const AWAY = ["/", "[", "]"];
  let areOff = false;
  try {
    areOff = localStorage.getItem(STORED) === "off";
  } catch {
    // without storage they are on
  }

  // Heard before whoever else listens for keys.
  addEventListener("keydown", (event) => {
    const kept = AWAY.includes(event.key) ? FIELDS : FOCUSED;
    if (areOff && event.key?.length === 1 && !event.target.closest?.(kept)) event.stopImmediatePropagation();
  }, true);

  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-single-keys]")) return;
    areOff = !event.target.checked;
    try {
      localStorage.setItem(STORED, areOff ? "off" : "on");
    } catch {
      // without storage it is so until the next page
    }
    show();
  });

  document.addEventListener("htmx:load", show);
  show();

  function show() {
    document.documentElement.toggleAttribute("data-no-single-keys", areOff);
    for (const box of document.querySelectorAll("[data-single-keys]")) box.checked = !areOff;
    for (const link of document.querySelectorAll("[data-key]")) {
      link.title = areOff ? "" : `Key ${link.dataset.key}`;
      link.ariaKeyShortcuts = areOff ? null : link.dataset.key;
    }
  }
})();
