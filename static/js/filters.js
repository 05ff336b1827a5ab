// The forms: a span of time and From – to exclude each other; empty fields stay out of the address; "/" leads to the box.
"use strict";
(() => {
  const ENDS = ["from", "to"];

  document.addEventListener("input", (event) => {
    const form = event.target.closest?.("#filters");
    if (!form) return;
    const fields = form.elements;
    if (ENDS.includes(event.target.name) && event.target.value) fields.last.value = "";
    if (event.target.name === "last" && event.target.value) ENDS.forEach((name) => (fields[name].value = ""));
    ENDS.forEach((name) => fields[name].toggleAttribute("data-filled", fields[name].value !== ""));
  });

  // Fires for a plain submission and for htmx alike.
  document.addEventListener("formdata", (event) => {
    if (event.target.matches("[data-drop-empty]")) dropEmpty(event.formData);
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    const box = document.getElementById("id_q");
    if (!box || event.target.closest?.("input, select, textarea")) return;
    event.preventDefault();
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
  });

  function dropEmpty(data) {
    for (const [key, value] of [...data]) if (value === "") data.delete(key);
  }
})();
