// Suggestions under the search box while one types, as a combobox with a list. Without them the box is a plain field.
"use strict";
(() => {
  const DELAY_MS = 120;
  const ID = "suggestions";
  let timer = 0;
  let asking = new AbortController();
  let place = null; // where in which text the suggestions belong
  let active = -1;

  const isBox = (element) => element?.id === "id_q" && element.dataset.suggest;
  const options = (box) => [...listOf(box).children];

  function set(element, attributes) {
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  function listOf(box) {
    const made = document.getElementById(ID);
    if (made) return made;
    const list = set(document.createElement("ul"), { id: ID, class: "suggest", role: "listbox", "aria-label": "Suggestions", hidden: "" });
    // Chosen before the box loses the focus, which closes the list.
    list.addEventListener("mousedown", (event) => {
      event.preventDefault();
      const option = event.target.closest("[role=option]");
      if (option) accept(box, option);
    });
    box.form.append(list);
    set(box, { role: "combobox", "aria-autocomplete": "list", "aria-controls": ID, "aria-expanded": false });
    return list;
  }

  function forget() {
    clearTimeout(timer);
    asking.abort();
  }

  function close(box) {
    forget();
    listOf(box).hidden = true;
    set(box, { "aria-expanded": false });
    activate(box, -1);
  }

  // Show what may stand at the caret; `chosen` is the place in the list that is active at once, -1 the last.
  async function ask(box, chosen = null) {
    forget();
    asking = new AbortController();
    const asked = box.value;
    const at = [...asked.slice(0, box.selectionStart)].length; // the server counts characters
    const query = new URLSearchParams({ q: asked, at });
    for (const name of ["last", "from", "to", "scope"]) if (box.form.elements[name]) query.set(name, box.form.elements[name].value);
    try {
      const answer = await fetch(`${box.dataset.suggest}?${query}`, { signal: asking.signal });
      if (answer.ok && !answer.redirected) show(box, { asked, ...(await answer.json()) }, chosen);
      else close(box);
    } catch {
      if (!asking.signal.aborted) close(box);
    }
  }

  function show(box, found, chosen) {
    if (document.activeElement !== box || !found.options.length) return close(box);
    place = found;
    const list = listOf(box);
    list.replaceChildren(...found.options.map(drawn));
    list.hidden = false;
    set(box, { "aria-expanded": true });
    activate(box, chosen === null ? -1 : (chosen + found.options.length) % found.options.length);
  }

  // What an entry holds is text: never markup.
  function drawn({ shown, note }, number) {
    const option = set(document.createElement("li"), { id: `${ID}-${number}`, class: "suggest__option", role: "option" });
    for (const [name, text] of [["value", shown], ["note", note]]) {
      const part = set(document.createElement("bdi"), { class: `suggest__${name}` });
      part.textContent = text;
      option.append(part, " ");
    }
    return option;
  }

  function activate(box, number) {
    active = number;
    options(box).forEach((option, at) => set(option, { "aria-selected": at === number }));
    const option = options(box)[number];
    if (option) set(box, { "aria-activedescendant": option.id });
    else box.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  }

  function accept(box, option) {
    if (place.asked !== box.value) return ask(box); // typed on since
    const { text } = place.options[options(box).indexOf(option)];
    const characters = [...box.value];
    const start = characters.slice(0, place.start).join("").length;
    box.setRangeText(text, start, characters.slice(0, place.end).join("").length, "end");
    close(box);
    if (text.endsWith(":")) ask(box);
  }

  document.addEventListener("focusin", ({ target }) => isBox(target) && listOf(target));
  document.addEventListener("focusout", ({ target }) => isBox(target) && close(target));
  document.addEventListener("submit", ({ target }) => isBox(target.elements.q) && close(target.elements.q));

  document.addEventListener("input", (event) => {
    if (!isBox(event.target) || event.isComposing) return;
    forget();
    activate(event.target, -1);
    timer = setTimeout(ask, DELAY_MS, event.target);
  });

  // Before the forms' own keys: Escape first closes the list. With nothing to close the browser would delete the text.
  document.addEventListener("keydown", (event) => {
    const box = event.target;
    if (!isBox(box) || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const isOpen = !listOf(box).hidden;
    const isFresh = isOpen && place.asked === box.value;
    const count = options(box).length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : count; // one place of the round is the text itself
      if (isFresh) activate(box, ((active + 1 + step) % (count + 1)) - 1);
      else ask(box, event.key === "ArrowDown" ? 0 : -1);
    } else if (isFresh && active >= 0 && (event.key === "Enter" || event.key === "Tab") && !event.shiftKey) {
      accept(box, options(box)[active]);
    } else if (event.key === "Escape") {
      close(box);
      if (isOpen) event.stopImmediatePropagation();
    } else {
      if (isOpen && ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) close(box);
      return;
    }
    event.preventDefault();
  }, true);
})();
