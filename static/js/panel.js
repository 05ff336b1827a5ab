// An API request beside the table: opened and closed without leaving the page; back and forward follow.
"use strict";
(() => {
  const panel = () => document.getElementById("panel");
  const within = (sign) => () => panel()?.querySelector(sign);
  const current = () => document.querySelector(".log-table [aria-current]");
  const KEYS = {
    j: () => current()?.nextElementSibling?.querySelector("[data-beside]"),
    k: () => current()?.previousElementSibling?.querySelector("[data-beside]"),
    o: within("[data-page]"),
    Escape: within("[data-close]"),
  };
  const entry = () => new URL(location.href).searchParams.get("entry") ?? "";
  let shown = table();
  let latest = 0;

  /** The address of the page whose table this is. */
  function table() {
    const address = new URL(location.href);
    address.searchParams.delete("entry");
    return `${address.pathname}?${address.searchParams}`;
  }

  document.addEventListener("click", (event) => {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const link = event.target.closest?.("#log :is([data-beside], [data-close])");
    if (!link) return;
    event.preventDefault();
    if (link.matches("[data-close]")) close(link.href);
    else open(link.href);
  });

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target !== document.body && !event.target.closest?.("#panel")) return;
    const link = panel()?.dataset.entry && KEYS[event.key]?.();
    if (!link) return;
    event.preventDefault();
    link.click();
  });

  // One step back closes it, however many were looked at.
  function open(address) {
    if (panel().hidden) history.pushState({ beside: true }, "", address);
    else history.replaceState(history.state, "", address);
    show();
  }

  function close(address) {
    if (history.state?.beside) {
      history.back();
    } else {
      history.pushState(null, "", address);
      hide();
    }
  }

  async function show() {
    const mine = ++latest;
    mark();
    const answer = { source: "#panel", target: "#panel", select: "#panel", swap: "outerHTML" };
    await htmx.ajax("GET", location.pathname + location.search, answer).catch(() => {});
    if (mine !== latest) return;
    if (panel()?.dataset.entry === entry()) panel().focus({ preventScroll: true });
    else location.reload(); // a sign-in form, or no answer
  }

  function hide() {
    latest += 1;
    const open = current();
    const hadFocus = panel().contains(document.activeElement) || document.activeElement === document.body;
    panel().hidden = true;
    panel().replaceChildren();
    delete panel().dataset.entry;
    mark();
    if (hadFocus) open?.querySelector("[data-beside]").closest("td").focus();
  }

  function mark() {
    for (const link of document.querySelectorAll(".log-table [data-beside]")) {
      const isOpen = new URL(link.href).searchParams.get("entry") === entry();
      if (isOpen) link.closest("tr").setAttribute("aria-current", "true");
      else link.closest("tr").removeAttribute("aria-current");
    }
  }

  // Before htmx, which would fetch the whole page anew.
  addEventListener("popstate", (event) => {
    if (table() !== shown) {
      if (!event.state?.htmx) location.reload();
      return;
    }
    if (!panel()) return; // a step within the page, to a place on it
    event.stopImmediatePropagation();
    if (!entry()) hide();
    else if (entry() !== panel().dataset.entry) show();
  });

  document.addEventListener("htmx:pushedIntoHistory", () => (shown = table()));
})();
