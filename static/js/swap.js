// What htmx leaves open: an answer that is no log page is opened as a page, and the focus is never lost.
"use strict";
(() => {
  const isPart = (event) => event.detail.target.id !== "log";

  // An error, or a sign-in form after the session has ended. A part of the page leaves the link in its place.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, pathInfo, target } = event.detail;
    const hasTarget = xhr.responseText.includes(` id="${target.id}"`);
    if (xhr.status < 500 && hasTarget) return;
    event.detail.shouldSwap = false;
    event.detail.isError = false;
    if (!isPart(event)) location.assign(hasTarget ? xhr.responseURL : pathInfo.finalRequestPath);
  });

  // No answer at all: let the browser say so.
  document.addEventListener("htmx:sendError", (event) => {
    if (!isPart(event)) location.assign(event.detail.pathInfo.finalRequestPath);
  });

  // The counts that were there stay in sight, busy and out of reach, until those of the new page have come.
  let counts = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!isPart(event)) counts = [...document.querySelectorAll("#facets > .facet")];
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const place = document.querySelector("#facets[hx-get]");
    if (isPart(event) || !place || !counts.length) return;
    for (const facet of counts) facet.inert = true;
    place.append(...counts);
    place.setAttribute("aria-busy", "true");
  });

  // Where none have come there is the link; those given up for the next click keep the old ones.
  document.addEventListener("htmx:sendError", noneCame);
  document.addEventListener("htmx:afterRequest", (event) => event.detail.xhr.status && noneCame(event));

  function noneCame(event) {
    const place = document.querySelector("#facets[aria-busy]");
    if (!place || place !== event.detail.elt) return;
    place.removeAttribute("aria-busy");
    for (const facet of place.querySelectorAll(".facet")) facet.remove();
  }

  document.addEventListener("htmx:afterSettle", (event) => {
    if (isPart(event)) return;
    const errors = document.getElementById("errors");
    if (!errors && document.activeElement !== document.body) return;
    (errors ?? document.getElementById("conditions"))?.focus({ preventScroll: true });
  });
})();
