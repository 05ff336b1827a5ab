// "[" and "]" lead to the sender's earlier and later request.
"use strict";
document.addEventListener("keydown", (event) => {
  const rel = { "[": "prev", "]": "next" }[event.key];
  // AltGr, by which many keyboards have brackets, counts as Ctrl and Alt.
  const isHeld = (event.ctrlKey || event.metaKey || event.altKey) && !event.getModifierState("AltGraph");
  if (!rel || isHeld || event.target.closest?.("input, select, textarea")) return;
  document.querySelector(`#around a[rel=${rel}]`)?.click();
});
