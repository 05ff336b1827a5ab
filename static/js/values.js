// What can be done with a value of the table: see the whole, ask for it, leave it out, copy it. Each column's search key
// stands in its heading, a value that its cell does not show as it is in the cell's `data-value`.
"use strict";
(() => {
  const REST_MS = 350;
  const LEAVE_MS = 250;
  const EDGE = 8; // pixels between the bar and the window's edge
  const LONGEST = 500; // as the pages of entries have it: proxies refuse long addresses
  const OF_ONE_PAGE = ["after", "before", "entry"];
  const cellOf = (element) => element?.closest?.(".log-table tbody td");
  let bar = null;
  let timer = 0;
  let isQuiet = false;

  document.addEventListener("focusin", (event) => {
    const cell = cellOf(event.target);
    if (isQuiet) return;
    if (!cell) hide();
    else if (event.target === cell) show(cell);
  });

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType !== "mouse") return;
    const cell = cellOf(event.target);
    clearTimeout(timer);
    if (cell && cell !== bar?.parentElement) timer = setTimeout(show, REST_MS, cell);
    else if (!cell && bar && !bar.parentElement.contains(document.activeElement)) timer = setTimeout(hide, LEAVE_MS);
  });

  document.addEventListener("pointerdown", (event) => !event.target.closest?.(".value") && hide());

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && bar) {
      if (bar.parentElement === cellOf(event.target)) event.preventDefault();
      hide();
    } else if (["f", "x", "c"].includes(event.key) && event.target === cellOf(event.target)) {
      event.preventDefault();
      show(event.target);
      bar?.querySelector(`[aria-keyshortcuts=${event.key}]`)?.click();
    }
  });

  addEventListener("scroll", () => bar && place(), { capture: true, passive: true });

  function show(cell) {
    clearTimeout(timer);
    if (bar?.parentElement === cell || !cell.isConnected) return;
    hide();
    const value = valueOf(cell);
    if (!value) return;
    const heading = cell.closest("table").tHead.rows[0].cells[cell.cellIndex];
    bar = document.createElement("div");
    bar.className = "value";
    bar.popover = "manual"; // above everything, clipped by nothing
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", `${heading.textContent.trim()} of this row`);
    bar.setAttribute("hx-boost", "true");
    const cut = cell.querySelector(".cut");
    if (cut && isCut(cut)) bar.append(made("bdi", "value__whole", cut.title));
    if (heading.dataset.key) {
      bar.append(link("Filter for", "f", narrowed(cell, heading.dataset.key, value, "")));
      bar.append(link("Filter out", "x", narrowed(cell, heading.dataset.key, value, "-")));
    }
    if (!("begins" in cell.dataset)) bar.append(copier(value));
    bar.append(opener(cell));
    cell.append(bar);
    htmx.process(bar);
    bar.showPopover?.();
    place();
  }

  function hide() {
    clearTimeout(timer);
    const gone = bar;
    bar = null;
    isQuiet = true;
    if (gone?.contains(document.activeElement)) gone.parentElement.focus();
    isQuiet = false;
    gone?.remove();
  }

  function place() {
    const cell = bar.parentElement.getBoundingClientRect();
    const { width, height } = bar.getBoundingClientRect();
    const top = cell.bottom + height > innerHeight ? cell.top - height : cell.bottom;
    bar.style.left = `${Math.max(0, Math.min(cell.left, document.documentElement.clientWidth - width - EDGE))}px`;
    bar.style.top = `${top}px`;
  }

  function isCut(text) {
    return text.title !== text.textContent || [...text.children].some((part) => part.scrollWidth > part.clientWidth);
  }

  function valueOf(cell) {
    if ("value" in cell.dataset) return cell.dataset.value;
    const text = cell.querySelector("time, bdi, .code");
    return text?.dateTime ?? (text?.title && text.matches(".cut") ? text.title : text?.textContent);
  }

  /** The address of this question with the value asked for (in place of what was), or left out (besides what is). */
  function narrowed(cell, key, value, sign) {
    const params = new URLSearchParams(location.search);
    const wanted = exactly(value, "begins" in cell.dataset);
    for (const name of OF_ONE_PAGE) params.delete(name);
    if (!sign) params.set(key, wanted);
    else if (!params.getAll(`-${key}`).includes(wanted)) params.append(`-${key}`, wanted);
    return `?${params}`;
  }

  /** What means the value and nothing else, or every value that begins so: `exactly` and `beginning` of terms.py. */
  function exactly(value, begins) {
    const signs = [...value];
    const isBeginning = begins || signs.length > LONGEST;
    const text = isBeginning ? signs.slice(0, LONGEST).join("") : value;
    const part = text.replace(/[*"\\]|^=/g, "\\$&") + (isBeginning ? "*" : "");
    // What Python strips, JavaScript does not know as blank throughout.
    return /,|^[\s\x1c-\x1f\x85]|[\s\x1c-\x1f\x85]$/.test(text) ? `"${part}"` : part;
  }

  function made(tag, name, text) {
    const element = document.createElement(tag);
    element.className = name;
    element.textContent = text;
    return element;
  }

  function link(text, key, address) {
    const element = made("a", "value__act", text);
    element.href = address;
    element.setAttribute("aria-keyshortcuts", key);
    return element;
  }

  /** Opens the row beside the table, as `js/panel.js` has it. */
  function opener(cell) {
    const element = made("a", "value__act", "Open");
    element.href = cell.parentElement.querySelector("[data-beside]").href;
    element.dataset.beside = "";
    return element;
  }

  function copier(value) {
    const place = made("span", "copy", "");
    const button = made("button", "value__act", "Copy");
    button.type = "button";
    button.dataset.copy = value;
    button.setAttribute("aria-keyshortcuts", "c");
    const said = made("span", "copy__said", "");
    said.setAttribute("role", "status");
    place.append(button, said);
    return place;
  }
})();
