// Buttons that copy: `data-copy` holds the text, `data-copy-from` the id of the element that has it.
"use strict";
(() => {
  const SHOWN_MS = 2000;

  document.addEventListener("htmx:load", offer);
  offer();

  function offer() {
    for (const button of document.querySelectorAll("[data-copy][hidden], [data-copy-from][hidden]")) button.hidden = false;
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy], [data-copy-from]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copyFrom);
    const done = await copy(source ? source.textContent : button.dataset.copy);
    say(button, done ? "Copied" : "Not copied: select the text instead");
  });

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return copyBySelection(text); // the clipboard needs HTTPS
    }
  }

  function copyBySelection(text) {
    const focused = document.activeElement;
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return done;
  }

  function say(button, words) {
    const status = button.parentElement.querySelector("[role=status]");
    status.textContent = words;
    setTimeout(() => (status.textContent = ""), SHOWN_MS);
  }
})();

// A value that gives way in its middle is two boxes: copied as the one text it is.
document.addEventListener("copy", (event) => {
  const selection = getSelection();
  const range = selection.rangeCount ? selection.getRangeAt(0) : null;
  const inside = range?.commonAncestorContainer;
  const cell = (inside?.nodeType === Node.TEXT_NODE ? inside.parentElement : inside)?.closest?.(".log-table td");
  const cut = cell?.querySelector(".cut");
  if (!cut || !range.toString()) return;
  const text = range.toString().trim();
  event.clipboardData.setData("text/plain", text === cut.textContent ? cut.title : text);
  event.preventDefault();
});
