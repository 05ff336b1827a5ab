// Buttons that copy: `data-copy` holds the text, `data-copy-from` the id of the element that has it.
"use strict";
(() => {
  const SHOWN_MS = 2000;

  for (const button of document.querySelectorAll("[data-copy], [data-copy-from]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copyFrom);
      const done = await copy(source ? source.textContent : button.dataset.copy);
      say(button, done ? "Copied" : "Not copied: select the text instead");
    });
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return copyBySelection(text); // the clipboard needs HTTPS
    }
  }

  function copyBySelection(text) {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }

  function say(button, words) {
    const status = button.parentElement.querySelector("[role=status]");
    status.textContent = words;
    setTimeout(() => (status.textContent = ""), SHOWN_MS);
  }
})();
