"use strict";
/* The index: cards, of which search, facets and order choose what is shown. */

{
  const RESERVED = ["q", "sort"];
  const CHUNK = 16; // cards made at a time; more as one scrolls
  const COMMON = 10; // values of a facet that are shown at once

  const collator = new Intl.Collator("en", { numeric: true });
  const by = (key, sign) => (one, other) => sign * (one[key] - other[key]) || one.place - other.place;
  const ORDERS = new Map([
    ["title", { words: "title", compare: (one, other) => one.place - other.place }],
    ["ops", { words: "most ops", compare: by("ops", -1) }],
    ["ops-up", { words: "fewest ops", compare: by("ops", 1) }],
    ["parameters", { words: "most parameters", compare: by("parameters", -1) }],
    ["parameters-up", { words: "fewest parameters", compare: by("parameters", 1) }],
    [
      "failures",
      { words: "failures first", compare: (one, other) => other.isBad - one.isBad || one.place - other.place },
    ],
  ]);

  /** What is asked for: words, an order, and the chosen values of each facet. */
  const asked = { words: "", order: "title", chosen: new Map() };
  let cards = [];
  let facets = [];
  let ordered = new Map(); // all cards in an order that was asked for once
  let shown = []; // cards that match, in order
  let made = 0; // of these, how many stand on the page

  // -- reading --------------------------------------------------------------------------------------

  /** The values of a facet with the number of cards that have them: common ones first, sizes from small to large. */
  function facetFrom(name) {
    const values = new Map();
    for (const card of cards) {
      for (const value of card.facets.get(name) || []) {
        const one = values.get(value) || { value, total: 0, least: Infinity, count: 0 };
        one.total += 1;
        one.least = Math.min(one.least, card.ops);
        values.set(value, one);
      }
    }
    const compare =
      name === "size"
        ? (one, other) => one.least - other.least
        : (one, other) => other.total - one.total || collator.compare(one.value, other.value);
    return { name, values, sorted: [...values.values()].sort(compare), isLong: false, rows: new Map() };
  }

  // -- choosing -------------------------------------------------------------------------------------

  /** Sets `shown`, and in each facet how many cards its values would leave. */
  function choose() {
    const words = asked.words.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = facets.map(({ name }) => asked.chosen.get(name));
    for (const facet of facets) for (const one of facet.sorted) one.count = 0;
    shown = [];
    for (const card of inOrder()) {
      if (!words.every((word) => card.haystack.includes(word))) continue;
      const failing = chosen.findIndex((values, place) => values && !hasAny(card, place, values));
      if (failing < 0) shown.push(card);
      // a card counts in every facet if it is shown, and in the one that hides it if no other does
      if (failing < 0) card.values.forEach(countAll);
      else if (!chosen.some((values, place) => place > failing && values && !hasAny(card, place, values)))
        countAll(card.values[failing]);
    }
  }

  function hasAny(card, place, values) {
    return card.values[place].some(({ value }) => values.has(value));
  }

  function countAll(values) {
    for (const one of values) one.count += 1;
  }

  function inOrder() {
    if (!ordered.has(asked.order)) ordered.set(asked.order, [...cards].sort(ORDERS.get(asked.order).compare));
    return ordered.get(asked.order);
  }

  function isChosen(name, value) {
    return asked.chosen.has(name) && asked.chosen.get(name).has(value);
  }

  function toggle(name, value) {
    const values = new Set(asked.chosen.get(name));
    if (!values.delete(value)) values.add(value);
    if (values.size) asked.chosen.set(name, values);
    else asked.chosen.delete(name);
    show(true);
  }

  function clear() {
    asked.words = "";
    asked.chosen.clear();
    lens.find("search").value = "";
    show(true);
  }

  // -- the address ----------------------------------------------------------------------------------

  const keyOf = (name) => (RESERVED.includes(name) ? `facet-${name}` : name);

  function readAddress() {
    const parameters = lens.readHash();
    asked.words = parameters.get("q") || "";
    asked.order = ORDERS.has(parameters.get("sort")) ? parameters.get("sort") : "title";
    asked.chosen.clear();
    for (const { name, values } of facets) {
      const known = parameters.getAll(keyOf(name)).filter((value) => values.has(value));
      if (known.length) asked.chosen.set(name, new Set(known));
    }
    lens.find("search").value = asked.words;
    lens.find("sort").value = asked.order;
  }

  function writeAddress(isStep) {
    const parameters = new URLSearchParams();
    if (asked.words) parameters.set("q", asked.words);
    for (const [name, values] of asked.chosen) for (const value of values) parameters.append(keyOf(name), value);
    if (asked.order !== "title") parameters.set("sort", asked.order);
    lens.writeHash(parameters, isStep);
    lens.keep("index", location.hash);
  }

  // -- showing --------------------------------------------------------------------------------------

  function show(isStep) {
    choose();
    showFacets();
    showChosen();
    showCards();
    writeAddress(isStep);
  }

  function showCards(least = CHUNK) {
    const total = cards.length;
    lens.find("number").textContent =
      shown.length === total ? lens.count(total, "model") : `${lens.long(shown.length)} of ${lens.long(total)}`;
    made = 0;
    lens.find("cards").replaceChildren();
    if (shown.length) while (made < Math.min(least, shown.length)) makeMore();
    else lens.find("cards").append(nothing());
  }

  function makeMore() {
    const next = shown.slice(made, made + CHUNK);
    made += next.length;
    lens.find("cards").append(...next.map((card) => lens.cardElement(card, explain)));
  }

  function nothing() {
    const words = cards.length ? "No model matches all of this." : "There are no models here yet.";
    const button = cards.length
      ? lens.element("button", { type: "button", click: clear }, "Clear search and filters")
      : null;
    return lens.element("div", { class: "nothing" }, lens.element("h2", {}, words), button);
  }

  function explain(card) {
    lens.find("reason-title").textContent = card.title;
    lens.find("reason-test").textContent = card.test;
    lens.find("reason-text").textContent = card.reason || "There is no page of it, and no reason was noted.";
    lens.find("reason").showModal();
  }

  // -- facets ---------------------------------------------------------------------------------------

  function makeFacets() {
    lens.find("facets").replaceChildren(...facets.map(facetElement));
  }

  function facetElement(facet) {
    facet.list = lens.element("div", {});
    facet.more = lens.element("button", { type: "button", class: "more", click: () => lengthen(facet) });
    for (const one of facet.sorted) facet.rows.set(one.value, rowOf(facet, one));
    return lens.element("fieldset", {}, lens.element("legend", {}, facet.name), facet.list, facet.more);
  }

  function rowOf(facet, { value }) {
    const box = lens.element("input", { type: "checkbox", change: () => toggle(facet.name, value) });
    const number = lens.element("span", { class: "count" });
    const row = lens.element("label", { class: "row", title: value }, box, lens.element("bdi", {}, value), number);
    return { row, box, number };
  }

  function lengthen(facet) {
    facet.isLong = !facet.isLong;
    showFacet(facet);
  }

  function showFacets() {
    for (const facet of facets) showFacet(facet);
    const chosen = [...asked.chosen.values()].reduce((sum, values) => sum + values.size, 0);
    lens.find("fold").textContent = chosen ? `Filters (${chosen})` : "Filters";
  }

  /** The values of a facet that are shown: of many only some, and first those that leave any card. */
  function rowsOf({ name, sorted, isLong }) {
    if (isLong || sorted.length <= COMMON) return sorted;
    const rows = [...sorted.filter(({ count }) => count > 0), ...sorted.filter(({ count }) => count === 0)];
    return rows.filter(({ value }, place) => place < COMMON || isChosen(name, value));
  }

  /** Numbers and marks of a facet; rows are put in anew only when there are others to show. */
  function showFacet(facet) {
    const rows = rowsOf(facet);
    for (const { value, count } of rows) {
      const { row, box, number } = facet.rows.get(value);
      box.checked = isChosen(facet.name, value);
      number.textContent = lens.long(count);
      row.classList.toggle("is-empty", count === 0);
    }
    const elements = rows.map(({ value }) => facet.rows.get(value).row);
    const isSame =
      elements.length === facet.list.children.length &&
      elements.every((row, place) => row === facet.list.children[place]);
    if (!isSame) facet.list.replaceChildren(...elements);
    facet.more.hidden = facet.sorted.length <= COMMON;
    facet.more.textContent = facet.isLong ? "fewer" : `${facet.sorted.length - rows.length} more`;
  }

  /** The filters in use, each with a way out of it. */
  function showChosen() {
    const found = [];
    for (const [name, values] of asked.chosen) {
      for (const value of values) {
        const label = `Remove the filter ${name}: ${value}`;
        found.push(
          lens.element(
            "button",
            { type: "button", "aria-label": label, click: () => toggle(name, value) },
            lens.element("bdi", {}, `${name}: ${value}`),
            " ×",
          ),
        );
      }
    }
    if (found.length > 1)
      found.push(lens.element("button", { type: "button", class: "all", click: clear }, "Clear all"));
    lens.find("chosen").replaceChildren(...found);
  }

  // -- what is near the window ------------------------------------------------------------------------

  const end = new IntersectionObserver(
    ([entry]) => {
      if (!entry.isIntersecting || made >= shown.length) return;
      makeMore();
      end.unobserve(entry.target); // looked at again: it may still be near
      end.observe(entry.target);
    },
    { rootMargin: "600px" },
  );

  // -- keys -----------------------------------------------------------------------------------------

  /** Go from the card that has the focus to one `columns` and `rows` away. */
  function go(columns, rows) {
    const mains = [...document.querySelectorAll(".cards .main")];
    const from = mains.indexOf(document.activeElement);
    const tops = mains.map((main) => main.closest(".card").offsetTop);
    const wide = Math.max(
      tops.findIndex((top) => top > tops[0]),
      1,
    );
    const to = from < 0 ? 0 : from + columns + rows * wide;
    if (from < 0 && document.activeElement !== document.body && document.activeElement !== lens.find("cards"))
      return false;
    if (to < 0) lens.find("search").focus();
    else if (to < mains.length) mains[to].focus();
    else if (from < 0 || mains.length === 0) return false;
    return true;
  }

  function listen() {
    const search = lens.find("search");
    const say = (words) => {
      search.value = asked.words = words;
      show(false);
    };
    search.addEventListener("input", () => {
      asked.words = search.value;
      show(false);
    });
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault(); // what is behind the # belongs to the search
      lens.find("cards").focus();
    });
    search.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        if (!search.value) search.blur();
        say("");
        event.preventDefault();
      } else if (event.key === "ArrowDown" || event.key === "Enter") {
        const first = document.querySelector(".cards .main");
        if (first) first.focus();
        event.preventDefault();
      }
    });
    const sort = lens.find("sort");
    for (const [name, { words }] of ORDERS) sort.append(new Option(words, name));
    sort.addEventListener("change", () => {
      asked.order = sort.value;
      show(true);
    });
    const fold = lens.find("fold");
    fold.addEventListener("click", () => {
      fold.setAttribute("aria-expanded", String(document.body.classList.toggle("has-facets")));
    });
    const help = lens.offerHelp();
    lens.onKeys(
      new Map([
        ["/", () => search.select()],
        ["Escape", () => say("")],
        ["?", help],
        ["ArrowLeft", () => go(-1, 0)],
        ["ArrowRight", () => go(1, 0)],
        ["ArrowUp", () => go(0, -1)],
        ["ArrowDown", () => go(0, 1)],
      ]),
    );
    window.addEventListener("popstate", () => {
      readAddress();
      show(false);
    });
    window.addEventListener("pagehide", () => history.replaceState({ made, top: scrollY }, ""));
  }

  // -- start ----------------------------------------------------------------------------------------

  lens.cards = (raw) => {
    const given = lens.record(raw);
    const table = {
      columns: lens.list(given.columns).map(lens.text),
      tests: lens.list(given.tests),
      values: lens.list(given.values),
    };
    cards = lens.list(given.cards).map((card) => lens.readCard(card, table));
    cards.sort((one, other) => collator.compare(one.title, other.title));
    cards.forEach((card, place) => (card.place = place));
    facets = lens
      .list(given.facets)
      .map(lens.text)
      .map(facetFrom)
      .filter((facet) => facet.sorted.length > 0);
    for (const card of cards) {
      card.values = facets.map(({ name, values }) => (card.facets.get(name) || []).map((value) => values.get(value)));
    }
    lens.find("title").textContent = lens.text(given.title) || document.title;
    lens.find("when").textContent = lens.text(given.when);
    if (given.finished === false)
      lens.notify("The run is not finished: more models come. Load the page again to see them.");
    listen();
    makeFacets();
    readAddress();
    show(false);
    const { made: before, top } = lens.record(history.state);
    if (lens.number(top) > 0) {
      showCards(lens.number(before));
      window.scrollTo(0, top);
    }
    end.observe(lens.find("end"));
  };

  document.addEventListener("DOMContentLoaded", () => {
    if (cards.length === 0 && !lens.find("notice").textContent && !lens.find("sort").options.length) {
      lens.notify(
        "cards.js, which lists the models, is missing or cannot be read. Run the tests again to have it written.",
      );
    }
  });
}
