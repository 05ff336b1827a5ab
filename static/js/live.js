// The live switch: asks every few seconds for what arrived, shows it at its place, waits while someone reads.
"use strict";
(() => {
  const EVERY_MS = 3000;
  const SLOWEST_MS = 60_000; // between two tries when there is no answer
  const PATIENCE_MS = 15_000;
  const COUNT_EVERY_MS = 30_000;
  const LATE = 120e6; // microseconds by which an entry may arrive late and still be shown
  const MOST_KNOWN = 300; // as in auditlog/dashboard/live.py
  const MOST_ROWS = 200;
  const STORED = "gatebook_live"; // in this tab, for the next page
  const times = new WeakMap(); // row → its moment, in microseconds
  let watch = null;

  const rowsOf = (root) => [...root.querySelectorAll("#log_table tbody tr[data-status]")];
  const momentOf = (name) => Number(name.split(".")[0]);
  const split = (names) => names.split(" ").filter(Boolean);

  class Watch {
    constructor(live) {
      this.live = live;
      this.began = this.asked = Number(live.dataset.now);
      this.known = split(live.dataset.rows); // names of the rows that were shown or wait, as far as they can be asked for again
      this.floor = "hasOlder" in live.dataset ? 1 + Math.min(...this.known.map(momentOf)) : 0; // before it: the next page
      this.waiting = []; // rows that arrived while someone reads
      this.lateShown = 0; // rows shown or waiting that began before the page was made
      this.later = 0; // those that arrived where this page does not show them
      this.counted = Date.now();
      this.wait = EVERY_MS;
      const rows = rowsOf(document);
      this.known.forEach((name, at) => rows[at] && times.set(rows[at], momentOf(name)));
      this.pill = pillBefore(document.getElementById("log_table"));
      this.next(0);
    }

    get isOver() {
      return watch !== this || !this.live.isConnected;
    }

    next(wait) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.ask(), wait);
    }

    async ask() {
      if (this.isOver || this.isTooMuch || document.hidden || this.isAsking) return;
      this.isAsking = true;
      try {
        const answer = await fetch(this.address(), {
          redirect: "manual",
          cache: "no-store",
          signal: AbortSignal.timeout(PATIENCE_MS),
        });
        if (answer.type === "opaqueredirect" || [400, 401, 403, 404].includes(answer.status)) return this.end(answer);
        if (!answer.ok) throw new Error(answer.statusText);
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (this.isOver) return;
        this.take(page.getElementById("newer"));
        this.sayDays();
        this.failedAt = null;
        this.wait = EVERY_MS;
      } catch {
        this.failedAt ??= new Date();
        this.wait = Math.min(2 * this.wait, SLOWEST_MS);
      } finally {
        this.isAsking = false;
      }
      if (this.isOver) return;
      this.say();
      this.next(this.wait);
    }

    address() {
      let since = Math.max(this.asked - LATE, this.floor);
      const known = this.known.filter((name) => momentOf(name) >= since).sort((a, b) => momentOf(b) - momentOf(a));
      if (known.length > MOST_KNOWN) since = momentOf(known[MOST_KNOWN]) + 1;
      const keys = known.slice(0, MOST_KNOWN).map((name) => name.split(".")[1]);
      const isCounting = "total" in this.live.dataset && Date.now() - this.counted > COUNT_EVERY_MS;
      const { newer, shown, start, now } = this.live.dataset;
      const counted = isCounting ? `&counted=${start},${now}` : "";
      return `${newer}&shown=${shown}&since=${since}${counted}&known=${keys.join("")}`;
    }

    take(part) {
      const names = split(part.dataset.rows);
      rowsOf(part).forEach((row, at) => {
        times.set(row, momentOf(names[at]));
        this.waiting.push(row);
      });
      this.asked = Number(part.dataset.now);
      this.known = [...this.known.filter((name) => momentOf(name) >= this.asked - LATE), ...names];
      this.lateShown += names.filter((name) => momentOf(name) < this.began).length;
      if (part.dataset.total) {
        this.later = Math.max(0, Number(part.dataset.total) - Number(this.live.dataset.total) - this.lateShown);
        this.counted = Date.now();
      }
      this.isTooMuch = "tooMuch" in part.dataset || this.waiting.length > MOST_ROWS;
      if (this.waiting.length && !this.isTooMuch && !isReading()) this.show();
    }

    // After midnight, a row that was of today says its day.
    sayDays() {
      const today = dayOf(new Date());
      for (const row of [...rowsOf(document), ...this.waiting]) {
        const date = row.querySelector("time .date:empty");
        const day = date && dayOf(new Date(times.get(row) / 1000));
        if (!day || day === today) continue;
        date.textContent = `${day} `;
        document.getElementById("log_table").dataset.dates ??= "";
      }
    }

    show() {
      const shown = rowsOf(document);
      if (!shown.length || this.isTooMuch || !this.waiting.length) return this.refresh();
      const body = shown[0].parentElement;
      for (const row of this.waiting.splice(0)) {
        const following = shown.findIndex((other) => times.get(other) <= times.get(row));
        const place = following < 0 ? shown.length : following;
        body.insertBefore(row, shown[place] ?? null);
        shown.splice(place, 0, row);
        row.dataset.new = "";
      }
      htmx.trigger(body, "htmx:load"); // for who prepares rows
      if (shown.length > MOST_ROWS) this.cut(shown);
      const words = document.querySelector(".pager__rows");
      if (words) words.textContent = `${Math.min(shown.length, MOST_ROWS)} API requests on this page`;
      this.say();
    }

    // The oldest rows make way; the next page then begins where they did.
    cut(shown) {
      shown.splice(MOST_ROWS).forEach((row) => row.remove());
      const last = times.get(shown.at(-1));
      this.floor = last + 1;
      const end = new Date(Math.floor(last / 1000) + 1).toISOString();
      const older = document.getElementById("older");
      if (!older) return;
      const link = older.cloneNode(true);
      link.href = this.live.dataset.past.replace(/([?&]to=)TO/, `$1${end}`);
      older.replaceWith(link);
      htmx.process(link);
    }

    refresh() {
      this.live.querySelector(".live__refresh").click();
    }

    end(answer) {
      watch = null;
      press(this.live, false);
      const isSignedOut = answer.type === "opaqueredirect" || answer.status === 401;
      const words = isSignedOut ? "Signed out. " : "This log can no longer be followed. ";
      this.tell(words, isSignedOut ? "Sign in" : "Open it again", () => location.reload(), "stopped");
      this.pill.hidden = true;
    }

    say() {
      if (this.failedAt) {
        this.tell(`No connection since ${clock(this.failedAt, {})}, trying again`, "", null, "failing");
      } else {
        const later = this.later ? `${this.later.toLocaleString("en")} arrived with an earlier time, counts` : "Counts";
        const made = clock(new Date(this.began / 1000), { second: "2-digit" });
        this.tell(`${later} as of ${made}. `, "Refresh", () => this.refresh(), "on");
      }
      const number = this.isTooMuch ? "More than 50" : this.waiting.length;
      this.pill.hidden = !number;
      this.pill.firstChild.textContent = `${number} new: show ${number === 1 ? "it" : "them"}`;
    }

    tell(words, act, doIt, state) {
      const line = this.live.querySelector(".live__state");
      this.live.dataset.state = state;
      if (line.dataset.words === words) return; // said once, not every few seconds
      line.dataset.words = words;
      line.replaceChildren(words);
      if (act) line.append(button("live__act", act, doIt));
    }
  }

  // Nothing moves under the eyes of who reads, points, types or copies.
  function isReading() {
    const table = document.getElementById("log_table");
    if (document.hidden || !table) return document.hidden;
    const selection = getSelection();
    return (
      table.getBoundingClientRect().top < 0 ||
      table.matches(":hover") ||
      table.contains(document.activeElement) ||
      table.querySelector("tr[aria-current]") !== null ||
      (!selection.isCollapsed && table.contains(selection.anchorNode))
    );
  }

  function clock(moment, more) {
    const day = dayOf(moment);
    const words = formatted(moment, { hour: "2-digit", minute: "2-digit", ...more });
    return day === dayOf(new Date()) ? words : `${day} ${words}`;
  }

  function dayOf(moment) {
    return formatted(moment, { day: "numeric", month: "short" }).replace("Sept", "Sep"); // as the server writes it
  }

  function formatted(moment, parts) {
    const timeZone = document.documentElement.dataset.zone;
    return new Intl.DateTimeFormat("en-GB", { timeZone, ...parts }).format(moment);
  }

  function button(name, words, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = name;
    made.textContent = words;
    made.addEventListener("click", act);
    return made;
  }

  function pillBefore(table) {
    document.querySelector(".live__pill")?.remove();
    const pill = document.createElement("div");
    pill.className = "live__pill";
    pill.hidden = true;
    pill.append(button("live__new", "", () => watch?.show()));
    table?.before(pill);
    return pill;
  }

  function press(live, on) {
    live.querySelector(".live__switch").setAttribute("aria-pressed", on);
    try {
      if (on) sessionStorage.setItem(STORED, "on");
      else sessionStorage.removeItem(STORED);
    } catch {
      // without storage it is on until the next page
    }
  }

  function begin() {
    const live = document.getElementById("live");
    let on = watch !== null;
    try {
      on ||= sessionStorage.getItem(STORED) === "on";
    } catch {
      // see above
    }
    if (!live || !on || watch?.live === live) return;
    press(live, true);
    watch = new Watch(live);
  }

  document.addEventListener("click", (event) => {
    const live = event.target.closest?.(".live__switch")?.parentElement;
    if (!live) return;
    const on = watch?.live !== live;
    press(live, on);
    if (on) watch = new Watch(live);
    else {
      watch.pill.remove();
      watch.tell("", "", null, "off");
      watch = null;
    }
  });

  const askNow = () => document.hidden || watch?.next(0);
  document.addEventListener("visibilitychange", askNow);
  addEventListener("online", askNow);
  document.addEventListener("htmx:afterSettle", begin);
  begin();
})();
