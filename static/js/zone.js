// Tell the server the reader's time zone in a cookie, and read the page anew, once, if it was written in another.
"use strict";
(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const written = document.documentElement.dataset.zone;
  if (!zone) return;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `gatebook_zone=${zone}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  if (!written || written === zone) return;
  try {
    if (sessionStorage.getItem("gatebook_zone") === zone) return; // the server does not know this zone
    sessionStorage.setItem("gatebook_zone", zone);
  } catch {
    return; // without storage, "once" cannot be kept; the next page is right
  }
  location.reload();
})();
