// The chart: what a bar counts, under the pointer or the focus; a range by dragging, or with Shift and the arrow keys.
"use strict";
(() => {
  const DRAG_PX = 5; // a press that moves less is a click
  const GAP_PX = 8;
  const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
  let press = null; // a pointer that went down on a plot: {plot, x, from, to, isDrag, isOver}
  let chosen = []; // the bars of the range that is marked

  const barsOf = (plot) => [...plot.querySelectorAll(".chart__bar")];
  const barOf = (event) => event.target.closest?.(".chart__bar");
  const between = (bars, one, other) => bars.slice(Math.min(one, other), Math.max(one, other) + 1);
  const edges = (bar) => bar.querySelector(".chart__ground").getBoundingClientRect();
  const end = (bar, name) => bar.getAttribute("href").match(`[?&]${name}=([^&]*)`)[1];

  document.addEventListener("pointerover", (event) => {
    const bar = barOf(event);
    if (bar && !press?.isDrag) show([bar]);
  });

  document.addEventListener("pointerout", (event) => {
    if (barOf(event) && !event.relatedTarget?.closest?.(".chart__bar") && !press?.isDrag) rest();
  });

  document.addEventListener("focusin", (event) => {
    const bar = barOf(event);
    if (!bar?.matches(":focus-visible") || chosen.includes(bar)) return;
    mark([]);
    show([bar]);
  });

  document.addEventListener("focusout", (event) => {
    if (!barOf(event) || event.relatedTarget?.closest?.(".chart__bar")) return;
    mark([]);
    hide();
  });

  document.addEventListener("pointerdown", (event) => {
    const plot = event.target.closest?.(".chart__plot");
    press = null;
    if (!plot || event.button || !event.isPrimary || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const from = placeAt(plot, event.clientX);
    press = { plot, x: event.clientX, from, to: from, isDrag: false, isOver: false };
  });

  document.addEventListener("pointermove", (event) => {
    if (!press || press.isOver || !event.isPrimary) return;
    if (!press.isDrag) {
      if (Math.abs(event.clientX - press.x) < DRAG_PX) return;
      press.isDrag = true;
      press.plot.setPointerCapture(event.pointerId);
    }
    press.to = placeAt(press.plot, event.clientX);
    mark(between(barsOf(press.plot), press.from, press.to));
    show(chosen);
  });

  document.addEventListener("pointerup", () => {
    if (!press?.isDrag || press.isOver) return;
    press.isOver = true;
    follow(rangeOf(chosen));
  });

  document.addEventListener("pointercancel", giveUp);
  document.addEventListener("dragstart", (event) => barOf(event) && event.preventDefault());

  document.addEventListener(
    "click",
    (event) => {
      const bar = barOf(event);
      if (press?.isDrag && event.detail && event.target.closest?.(".chart__plot")) event.preventDefault(); // its pointer has had its say
      else if (bar && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
        event.preventDefault();
        follow(chosen.includes(bar) ? rangeOf(chosen) : bar.getAttribute("href"));
      }
    },
    true,
  );

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return giveUp();
    const bar = barOf(event);
    if (!bar || !(event.key in STEPS) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const bars = barsOf(bar.closest(".chart__plot"));
    const at = bars.indexOf(bar);
    const to = Math.min(bars.length - 1, Math.max(0, at + STEPS[event.key]));
    const fixed = !chosen.length ? at : bar === chosen[0] ? bars.indexOf(chosen.at(-1)) : bars.indexOf(chosen[0]);
    bar.setAttribute("tabindex", "-1");
    bars[to].setAttribute("tabindex", "0");
    if (event.shiftKey) mark(between(bars, fixed, to));
    bars[to].focus();
    if (event.shiftKey) show(chosen, "polite");
  });

  function placeAt(plot, x) {
    const bars = barsOf(plot);
    const place = bars.findIndex((bar) => x < edges(bar).right);
    return place < 0 ? bars.length - 1 : place;
  }

  function giveUp() {
    if (press) press.isOver = true;
    mark([]);
    rest();
  }

  function mark(bars) {
    chosen.forEach((bar) => bar.removeAttribute("data-chosen"));
    chosen = bars;
    chosen.forEach((bar) => bar.setAttribute("data-chosen", ""));
  }

  // The address of a range: that of its first bar, up to the end of its last.
  function rangeOf(bars) {
    return bars[0].getAttribute("href").replace(/([?&]to=)[^&]*/, `$1${end(bars.at(-1), "to")}`);
  }

  // As a link of the page, so that htmx makes it smooth where it is there.
  function follow(address) {
    const link = document.createElement("a");
    link.href = address;
    link.hidden = true;
    document.getElementById("chart").append(link);
    window.htmx?.process(link);
    link.click(); // and it stays: htmx reads its attributes again when the answer is there
  }

  function rest() {
    const focused = document.activeElement;
    if (focused?.matches(".chart__bar:focus-visible")) show(chosen.length ? chosen : [focused]);
    else hide();
  }

  function hide() {
    document.querySelectorAll(".chart__readout").forEach((readout) => (readout.hidden = true));
  }

  function show(bars, live = "off") {
    const chart = bars[0].closest(".chart");
    const readout = chart.querySelector(".chart__readout");
    const [time, counts, utc] = bars.length > 1 ? sums(bars) : said(bars[0]);
    readout.setAttribute("aria-live", live);
    readout.hidden = false;
    readout.replaceChildren(part("strong", time), " ", part("span", counts), " ", part("small", utc));
    const { left, right } = chart.getBoundingClientRect();
    const middle = (edges(bars[0]).left + edges(bars.at(-1)).right) / 2 - left;
    const links = chart.querySelector(".chart__zoom, .chart__numbers"); // which it does not cover
    const room = (links ? links.getBoundingClientRect().left - GAP_PX : right) - left - readout.offsetWidth;
    readout.style.left = `${Math.max(0, Math.min(room, middle - readout.offsetWidth / 2))}px`;
  }

  function part(name, text) {
    const element = document.createElement(name);
    element.textContent = text;
    return element;
  }

  function said(bar) {
    const title = bar.querySelector("title");
    if (title) {
      bar.setAttribute("aria-label", title.textContent); // the browser's own tooltip would say it twice
      title.remove();
    }
    const [, time, counts] = bar.getAttribute("aria-label").match(/^(.*): (.*)$/);
    return [time, counts, bar.dataset.utc ?? ""];
  }

  function sums(bars) {
    const sum = (name) => bars.reduce((total, bar) => total + Number(bar.dataset[name]), 0);
    const [requests, failures] = [sum("requests"), sum("failures")];
    const zone = document.documentElement.dataset.zone;
    const [since, until] = [new Date(end(bars[0], "from")), new Date(end(bars.at(-1), "to"))];
    return [
      span(since, until, zone),
      `${counted(requests, "request")}, ${counted(failures, "failure")}`,
      zone === "UTC" ? "" : `${span(since, until, "UTC")} UTC`,
    ];
  }

  const counted = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;

  function span(since, until, timeZone) {
    const seconds = (until - since) / 1000 < 3600 ? { second: "2-digit" } : {};
    const day = new Intl.DateTimeFormat("en-GB", { timeZone, day: "numeric", month: "short" });
    const clock = new Intl.DateTimeFormat("en-GB", { timeZone, hour: "2-digit", minute: "2-digit", ...seconds });
    const ended = day.format(since) === day.format(until) ? "" : `${day.format(until)} `;
    return `${day.format(since)} ${clock.format(since)} to ${ended}${clock.format(until)}`;
  }
})();
