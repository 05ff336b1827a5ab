// The log table by keyboard: one stop for the Tab key, then cell by cell; its help says the keys.
"use strict";
(() => {
  const WAYS = {
    j: below, ArrowDown: below, k: above, ArrowUp: above, ArrowRight: right, ArrowLeft: left,
    Home: (cell) => cell.parentElement.cells[0],
    End: (cell) => [...cell.parentElement.cells].filter(isSeen).at(-1),
  };
  const isSeen = (cell) => cell.offsetParent !== null;

  document.addEventListener("htmx:load", arm);
  arm();

  function arm() {
    const table = document.querySelector(".log-table__table");
    if (!table) return;
    table.setAttribute("role", "grid");
    for (const cell of table.querySelectorAll("tbody td:not([tabindex])")) {
      cell.tabIndex = -1;
      cell.setAttribute("role", "gridcell");
      for (const link of cell.querySelectorAll("a")) link.tabIndex = -1;
    }
    if (!table.querySelector("td[tabindex='0']")) table.querySelector("tbody td")?.setAttribute("tabindex", "0");
  }

  document.addEventListener("focusin", (event) => {
    const cell = event.target.closest?.(".log-table tbody td");
    if (!cell) return;
    cell.closest("table").querySelector("td[tabindex='0']")?.setAttribute("tabindex", "-1");
    cell.tabIndex = 0;
  });

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const cell = event.target.closest?.(".log-table tbody td");
    if (!cell || event.target.closest(".value")) return;
    if (act(event.key, cell, event.target)) event.preventDefault();
  });

  function act(key, cell, target) {
    if (WAYS[key]) WAYS[key](cell)?.focus();
    else if (key === "Enter" && target === cell) beside(cell).click();
    else if (key === "o") location.assign(page(beside(cell)));
    else if (key === "Escape") document.querySelector("#panel [data-close]")?.click();
    else if (key === "?") help();
    else return false;
    return true;
  }

  // Who asks for a value by keyboard goes on in the same column of what is found; a click by keyboard has no `detail`.
  let column = null;
  document.addEventListener("click", ({ target, detail }) => {
    const link = !detail && target.closest?.(".value a:not([data-beside])");
    column = link ? link.closest("td").dataset.column : null;
  }, true);

  // Before swap.js leads whoever lost the focus to what is shown now.
  document.addEventListener("htmx:afterSettle", (event) => {
    if (!column || event.detail.target.id !== "log") return;
    const rows = document.querySelector(".log-table tbody");
    (rows?.querySelector(`td[data-column="${column}"]`) ?? rows?.querySelector("td"))?.focus({ preventScroll: true });
    column = null;
  }, true);

  const beside = (cell) => cell.parentElement.querySelector("[data-beside]");

  /** The page of the entry that a link opens beside the table: `entry` is site, time and Request-ID. */
  function page(link) {
    const [, site, at, request] = new URL(link.href).searchParams.get("entry").match(/^([^,]*),([^,]*),(.*)$/s);
    return `/${site}/logs/entry?${new URLSearchParams({ at, request })}`;
  }

  function help() {
    const keys = document.getElementById("keys");
    keys.open = true;
    keys.querySelector("summary").focus();
  }

  function below(cell) {
    return cell.parentElement.nextElementSibling?.cells[cell.cellIndex];
  }

  function above(cell) {
    return cell.parentElement.previousElementSibling?.cells[cell.cellIndex];
  }

  function right(cell) {
    let next = cell.nextElementSibling;
    while (next && !isSeen(next)) next = next.nextElementSibling;
    return next;
  }

  function left(cell) {
    let next = cell.previousElementSibling;
    while (next && !isSeen(next)) next = next.previousElementSibling;
    return next;
  }
})();
