// The column chooser: places are changed by arrows, or Alt and an arrow key, instead of by their numbers.
"use strict";
(() => {
  const choices = () => document.querySelector(".columns__choices");

  document.addEventListener("htmx:load", arm);
  arm();

  function arm() {
    for (const place of document.querySelectorAll(".columns__place:not([hidden])")) {
      const heading = place.parentElement.querySelector("label").textContent;
      place.hidden = true;
      place.after(arrow("↑", `Move ${heading} up`), arrow("↓", `Move ${heading} down`));
    }
  }

  function arrow(sign, name) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "columns__arrow";
    button.textContent = sign;
    button.setAttribute("aria-label", name);
    return button;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".columns__arrow");
    if (button) move(button, button.textContent === "↑");
  });

  document.addEventListener("keydown", (event) => {
    if (!event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key) || !event.target.closest?.(".columns__choice")) return;
    event.preventDefault();
    move(event.target, event.key === "ArrowUp");
  });

  function move(control, isUp) {
    const choice = control.closest(".columns__choice");
    const neighbour = isUp ? choice.previousElementSibling : choice.nextElementSibling;
    if (!neighbour) return;
    if (isUp) neighbour.before(choice);
    else neighbour.after(choice);
    [...choices().children].forEach((one, at) => (one.querySelector(".columns__place").value = at + 1));
    control.focus(); // moved elements lose it
    choice.scrollIntoView({ block: "nearest" });
  }
})();
