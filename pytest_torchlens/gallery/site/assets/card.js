"use strict";
/* One card of the index: reading it from data that may lack anything, and its element. */

{
  const LONGEST = 4000; // characters of a card that are searched

  /** A card with every field, whatever the data lacks. `table` has what many cards share. */
  lens.readCard = (raw, table) => {
    const given = recordOf(lens.list(raw), table.columns);
    const title = lens.text(given.title) || lens.text(given.test) || "(no title)";
    const folder = lens.text(given.folder);
    const card = {
      title,
      model: lens.text(given.model),
      test: testOf(given.test, title, table.tests),
      href: folder ? lens.link(`models/${folder}/index.html`) : null,
      silhouette: folder ? lens.link(`models/${folder}/silhouette.svg`) : null,
      ops: lens.number(given.ops),
      parameters: lens.number(given.parameters),
      passes: lens.number(given.passes) || 1,
      facets: facetsOf(lens.list(given.facets), table.values),
      changes: lens.list(given.changes).map(lens.record),
      reason: lens.text(given.reason),
      isBad: given.is_bad === true,
      isEarlier: given.is_earlier === true,
      element: null,
    };
    const values = [...card.facets.values()].flat();
    card.haystack = [title, card.model, card.test, ...values, card.reason].join("\n").slice(0, LONGEST).toLowerCase();
    return card;
  };

  /** A card as a record: its fields stand in `columns`, and what is rare in a record at the end. */
  function recordOf(row, columns) {
    return {
      ...Object.fromEntries(columns.map((name, place) => [name, row[place]])),
      ...lens.record(row[columns.length]),
    };
  }

  /** A test's id: a text, or the place of its pattern, in which {} stands for the title. */
  function testOf(value, title, patterns) {
    return Number.isInteger(value) ? lens.text(patterns[value]).split("{}").join(title) : lens.text(value);
  }

  /** Facets as a Map of lists, from places in the table of values. */
  function facetsOf(places, table) {
    const found = new Map();
    for (const place of places) {
      const [name, word] = lens.list(table[place]).map(lens.text);
      if (name && word) found.set(name, [...(found.get(name) || []), word]);
    }
    return found;
  }

  /** Loads silhouettes that come near the window. */
  const near = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        target.src = target.dataset.src;
        near.unobserve(target);
      }
    },
    { rootMargin: "100px" },
  );

  /** The element of a card, made when it is first shown. */
  lens.cardElement = (card, explain) => {
    if (card.element) return card.element;
    const kind = `card${card.isBad ? " is-bad" : ""}${card.isEarlier ? " is-earlier" : ""}`;
    card.element = lens.element("article", { class: kind }, face(card), about(card, explain));
    return card.element;
  };

  /** The silhouette; where there is none, why. */
  function face(card) {
    if (!card.silhouette) return why(card.reason || "not drawn");
    const image = lens.element("img", { class: "face", alt: "", width: 320, height: 200, "data-src": card.silhouette });
    image.addEventListener("error", () => image.replaceWith(why("its silhouette is missing")));
    near.observe(image);
    return image;
  }

  function why(words) {
    return lens.element("div", { class: "face why", title: words }, lens.element("p", {}, words));
  }

  function about(card, explain) {
    const numbers = [
      card.ops ? lens.count(card.ops, "op") : "",
      card.parameters ? `${lens.short(card.parameters)} params` : "",
    ];
    if (card.passes > 1) numbers.push(`${card.passes} passes`);
    const source = (card.facets.get("source") || []).join(", ");
    const badges = (card.facets.get("status") || []).filter((word) => word !== "passed").map(lens.badge);
    if (card.isEarlier)
      badges.push(lens.element("span", { class: "badge quiet", title: "kept from an earlier run" }, "earlier run"));
    const changes = card.changes.map(lens.changeLink).filter(Boolean);
    return lens.element(
      "div",
      { class: "about" },
      lens.element("h2", {}, titleElement(card, explain)),
      lens.element(
        "p",
        { class: "numbers" },
        lens.element("span", {}, numbers.filter(Boolean).join(" · ") || card.model),
        lens.element("b", {}, source),
      ),
      badges.length || changes.length ? lens.element("p", { class: "badges" }, badges, changes) : null,
    );
  }

  /** A link to the model's page; a button that tells the reason if there is no page. */
  function titleElement(card, explain) {
    const attributes = { class: "main", title: `${card.title}\n${card.model}\n${card.test}` };
    const name = lens.element("bdi", {}, card.title);
    if (card.href) return lens.element("a", { ...attributes, href: card.href }, name);
    return lens.element("button", { ...attributes, type: "button", click: () => explain(card) }, name);
  }
}
