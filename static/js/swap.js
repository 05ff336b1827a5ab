// What htmx leaves open: an answer that is no log page is opened as a page, and the focus is never lost.
"use strict";
(() => {
  // An error, or a sign-in form after the session has ended.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, pathInfo } = event.detail;
    const hasLog = /\sid="log"/.test(xhr.responseText);
    if (xhr.status < 500 && hasLog) return;
    event.detail.shouldSwap = false;
    event.detail.isError = false;
    location.assign(hasLog ? xhr.responseURL : pathInfo.finalRequestPath);
  });

  // No answer at all: let the browser say so.
  document.addEventListener("htmx:sendError", (event) => location.assign(event.detail.pathInfo.finalRequestPath));

  document.addEventListener("htmx:afterSettle", () => {
    const errors = document.getElementById("errors");
    if (!errors && document.activeElement !== document.body) return;
    (errors ?? document.getElementById("conditions"))?.focus({ preventScroll: true });
  });
})();
