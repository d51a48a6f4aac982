"use strict";
/* What is told of the model, of an op, or of a module, in the pane on the right. */

{
  const MANY = 12; // links of a kind that are shown at once

  /** Shows `model`. `go` has what its links do: `op(label)`, `module(address)`, `open(module)`. */
  class Inspector {
    constructor(pane, model, go) {
      this.pane = pane;
      this.model = model;
      this.go = go;
    }

    show(...parts) {
      this.pane.replaceChildren(...parts.filter(Boolean));
      this.pane.scrollTop = 0;
    }

    // -- the model ----------------------------------------------------------------------------------

    showModel(picture) {
      const { model } = this;
      const rows = [
        ["class", model.model],
        ["test", model.test],
        ["ops", model.ops ? lens.long(model.ops) : ""],
        ["layers", model.total ? lens.long(model.total) : ""],
        ["parameters", model.parameters ? lens.long(model.parameters) : ""],
        ["device", model.device],
        ["seconds", model.seconds ? model.seconds.toFixed(model.seconds < 1 ? 3 : 1) : ""],
        ["structure", model.structure],
      ];
      const shown = new Set(["status", "file"]); // as badges, and in the name of the test
      for (const [name, values] of model.facets) if (!shown.has(name)) rows.push([name, values.join(", ")]);
      this.show(
        heading(model.title, "model"),
        this.statuses(),
        model.reason ? lens.element("pre", { class: "reason" }, model.reason) : null,
        table(rows),
        picture
          ? section(
              "This picture",
              table([["boxes", picture.boxes ? lens.long(picture.boxes) : ""]]),
              picture.notes.map((note) => lens.element("p", { class: "soft" }, note)),
            )
          : null,
        model.omitted
          ? lens.element(
              "p",
              { class: "soft" },
              `${lens.count(model.omitted, "layer")} left out of these details: there are too many.`,
            )
          : null,
        lens.element(
          "p",
          { class: "hint" },
          "Click an op to see what it is and where it comes from. Double-click a module to see its inside. Press ? for keys.",
        ),
      );
    }

    statuses() {
      const words = (this.model.facets.find(([name]) => name === "status") || ["", []])[1];
      const changes = this.model.changes.map(lens.changeLink).filter(Boolean);
      return lens.element("p", { class: "badges" }, words.map(lens.badge), changes);
    }

    // -- an op --------------------------------------------------------------------------------------

    showOp(layer, others) {
      const sources = layer.sources.map((place) => this.model.sources[place]).filter(Boolean);
      this.show(
        heading(layer.label, layer.category),
        lens.element(
          "p",
          { class: "call" },
          lens.element("b", {}, layer.name),
          layer.arguments ? ` ${layer.arguments}` : "",
        ),
        table([
          ["shape", layer.shape],
          ["dtype", layer.dtype],
          ["parameters", layer.parameters ? lens.long(layer.parameters) : ""],
          ["passes", layer.passes > 1 ? lens.long(layer.passes) : ""],
          ["module", layer.module ? this.moduleLink(layer.module) : ""],
        ]),
        sources.length ? section("Source", sourceLines(sources)) : null,
        layer.reads.length ? section("Reads", this.opLinks(layer.reads)) : null,
        layer.readBy.length ? section("Read by", this.opLinks(layer.readBy)) : null,
        layer.statistics ? section("Values", statistics(layer.statistics)) : null,
        others.length > 1
          ? section(`This box stands for ${lens.count(others.length, "layer")}`, this.opLinks(others))
          : null,
      );
    }

    // -- a module -----------------------------------------------------------------------------------

    showModule(module, others) {
      const layers = this.model.layersOf(module.address);
      const target = module.pictured;
      const words = target === module || !target ? "Open its picture" : `Open the picture of ${target.address}`;
      this.show(
        heading(module.address, "module"),
        lens.element("p", { class: "call" }, lens.element("b", {}, module.className)),
        target
          ? lens.element(
              "p",
              {},
              lens.element(
                "button",
                { type: "button", class: "primary", click: () => this.go.open(module) },
                `${words} `,
                lens.element("kbd", {}, "o"),
              ),
            )
          : null,
        table([
          ["shape", module.shape],
          ["parameters", lens.long(module.parameters)],
          ["passes", module.passes > 1 ? lens.long(module.passes) : ""],
          ["in", module.parent ? this.moduleLink(module.parent.address) : ""],
        ]),
        others.length > 1
          ? section(
              `This box stands for ${lens.count(others.length, "module")}`,
              links(others, (address) => this.moduleLink(address)),
            )
          : null,
        module.children.length
          ? section(
              "Modules in it",
              links(module.children, (child) => this.moduleLink(child.address, `${child.name} ${child.className}`)),
            )
          : null,
        layers.length ? section("Ops in it", this.opLinks(layers.map((layer) => layer.label))) : null,
      );
    }

    showUnknown(name) {
      this.show(heading(name, "unknown"), lens.element("p", { class: "soft" }, "Nothing is noted of it."));
    }

    // -- links ----------------------------------------------------------------------------------------

    moduleLink(address, words = address) {
      const attributes = { type: "button", class: "link", title: address, click: () => this.go.module(address) };
      return this.model.modules.has(address)
        ? lens.element("button", attributes, lens.element("bdi", {}, words))
        : words;
    }

    opLinks(labels) {
      return links(labels, (label) => {
        const layer = this.model.layer(label);
        if (!layer) return lens.element("bdi", {}, label);
        const more = lens.element("span", { class: "soft" }, layer.shape);
        return lens.element(
          "button",
          { type: "button", class: "link op", click: () => this.go.op(label) },
          dot(layer.category),
          lens.element("bdi", {}, label),
          more,
        );
      });
    }
  }

  // -- parts ------------------------------------------------------------------------------------------

  function dot(category) {
    return lens.element("i", { class: "dot", "data-category": category });
  }

  function heading(title, category) {
    return lens.element(
      "header",
      {},
      lens.element("p", { class: "kind" }, dot(category), category),
      lens.element("h2", { title }, lens.element("bdi", {}, title)),
    );
  }

  function section(title, ...parts) {
    return lens.element("section", {}, lens.element("h3", {}, title), ...parts.flat());
  }

  /** Rows of name and value; those without a value are left out. */
  function table(rows) {
    const cells = rows
      .filter(([, value]) => value !== "")
      .map(([name, value]) => [lens.element("dt", {}, name), lens.element("dd", {}, value)]);
    return lens.element("dl", { class: "table" }, cells.flat());
  }

  /** A list of links; a long one shows its rest when asked. */
  function links(items, linkOf) {
    const list = lens.element(
      "ul",
      { class: "links" },
      items.slice(0, MANY).map((item) => lens.element("li", {}, linkOf(item))),
    );
    const rest = items.slice(MANY);
    if (rest.length === 0) return list;
    const more = lens.element("button", { type: "button", class: "more" }, `${lens.long(rest.length)} more`);
    more.addEventListener("click", () => {
      list.append(...rest.map((item) => lens.element("li", {}, linkOf(item))));
      more.remove();
    });
    return [list, more];
  }

  /** The line itself first, then from where it was called; what is in torch does not hide the model's own line. */
  function sourceLines(sources) {
    const inner = [...sources].reverse();
    const own = inner.findIndex(({ place }) => !place.startsWith("torch/"));
    const [shown, rest] = [inner.slice(0, own + 1 || 1), inner.slice(own + 1 || 1)];
    const list = (lines) => lens.element("ul", { class: "lines" }, lines.map(sourceLine));
    const around = rest.length
      ? lens.element(
          "details",
          {},
          lens.element("summary", {}, `called from ${lens.count(rest.length, "line")}`),
          list(rest),
        )
      : null;
    return [list(shown), around];
  }

  function sourceLine({ place, code }) {
    return lens.element(
      "li",
      {},
      lens.element("p", { class: "place", title: place }, lens.element("bdi", {}, place)),
      code ? lens.element("pre", {}, code) : null,
    );
  }

  function statistics(given) {
    const rows = ["min", "max", "mean", "std"].map((name) => [
      name,
      Number.isFinite(given[name]) ? given[name].toPrecision(4) : lens.text(given[name]),
    ]);
    if (Number.isFinite(given.zeros)) rows.push(["zeros", `${(100 * given.zeros).toFixed(1)} %`]);
    for (const [name, words] of [
      ["nan", "not a number"],
      ["infinite", "infinite"],
    ]) {
      if (given[name]) rows.push([words, lens.element("strong", { class: "bad" }, lens.text(given[name]))]);
    }
    return [histogram(lens.list(given.histogram).map(lens.number), given), table(rows)];
  }

  function histogram(counts, { min, max }) {
    const most = Math.max(...counts, 0);
    if (most === 0) return null;
    const bars = counts.map((count) =>
      lens.element("i", {
        style: `height:${Math.max((100 * count) / most, count ? 4 : 0).toFixed(1)}%`,
        title: lens.long(count),
      }),
    );
    return lens.element(
      "figure",
      { class: "histogram", "aria-label": `Histogram from ${min} to ${max}` },
      lens.element("div", {}, bars),
    );
  }

  lens.Inspector = Inspector;
}
