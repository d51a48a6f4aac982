"use strict";
/* What stands in a picture: which elements show an op or a module, and how what is selected is marked.

The writer of pictures says it in attributes: data-op and data-module name what a box or a frame stands for, data-from
and data-to the boxes of an edge. */

{
  const SELECTED = "is-selected";
  const CLASSES = [SELECTED, "is-source", "is-reader", "is-in", "is-out"];

  class Marks {
    constructor(svg) {
      this.svg = svg;
      this.ops = new Map(); // elements by label, also by that of the layer of a pass
      this.modules = new Map(); // elements by address
      this.shared = []; // addresses of modules that have an element in common
      this.boxes = []; // in order
      this.from = new Map(); // edges by the id of the box they leave
      this.to = new Map(); // and of the box they lead to
      for (const element of svg.querySelectorAll("[data-op], [data-module]")) this.addElement(element);
      const boxes = new Map(this.boxes.map((box) => [box.id, box]));
      for (const element of svg.querySelectorAll("[data-from]")) this.addEdges(element, boxes);
    }

    addElement(element) {
      const labels = lens.namesIn(element, "op");
      for (const label of new Set([...labels, ...labels.map(lens.withoutPass)])) add(this.ops, label, element);
      const addresses = lens.namesIn(element, "module");
      for (const address of addresses) add(this.modules, address, element);
      if (addresses.length > 1) this.shared.push(addresses);
      if (!isFrame(element)) this.boxes.push(element);
    }

    /** An edge is a path; a short one is part of the box that it leads to, which names several. */
    addEdges(element, boxes) {
      const path = element.dataset.to ? element : null;
      const to = path ? path.dataset.to : element.id;
      for (const from of element.dataset.from.split(" ")) {
        const edge = { path, tail: boxes.get(from), head: boxes.get(to) };
        add(this.from, from, edge);
        add(this.to, to, edge);
      }
    }

    /** Whether `what`, {op} or {module}, has elements of its own. */
    has(what) {
      return what.op ? this.ops.has(what.op) : this.modules.has(what.module);
    }

    /** The elements that show an op or a module: its own, or else the closed module that it is in. */
    elementsOf(what, model) {
      if (what.module) return this.modules.get(what.module) || this.closedAround(what.module, model);
      const own = this.ops.get(what.op) || this.ops.get(lens.withoutPass(what.op));
      const layer = model.layer(what.op);
      return own || (layer ? this.closedAround(layer.module, model) : []);
    }

    closedAround(address, model) {
      for (let module = model.modules.get(address); module; module = module.parent) {
        const shown = this.modules.get(module.address) || [];
        if (shown.length) return shown.filter((element) => !isFrame(element) && !element.dataset.op);
      }
      return [];
    }

    /** Mark elements as selected, the boxes that lead to them, those they lead to, and the edges between. */
    select(elements) {
      lens.unmark(this.svg);
      for (const { id } of elements) {
        for (const { path, tail } of this.to.get(id) || []) put(path, "is-in", tail, "is-source");
        for (const { path, head } of this.from.get(id) || []) put(path, "is-out", head, "is-reader");
      }
      for (const element of elements) {
        element.classList.remove(...CLASSES);
        element.classList.add(SELECTED);
      }
    }
  }

  const isFrame = (element) => element.localName === "rect";

  function add(map, key, value) {
    if (map.has(key)) map.get(key).push(value);
    else map.set(key, [value]);
  }

  function put(path, edge, box, end) {
    if (path) path.classList.add(edge);
    if (box) box.classList.add(end);
  }

  function decoded(name) {
    try {
      return decodeURIComponent(name);
    } catch {
      return name;
    }
  }

  const known = new WeakMap();

  lens.marksOf = (svg) => {
    if (!known.has(svg)) known.set(svg, new Marks(svg));
    return known.get(svg);
  };

  lens.unmark = (svg) => {
    for (const element of svg.querySelectorAll(CLASSES.map((name) => `.${name}`).join()))
      element.classList.remove(...CLASSES);
  };

  /** Names in an attribute of a box, in which a space of a name is written %20. */
  lens.namesIn = (element, name) => (element.dataset[name] || "").split(" ").filter(Boolean).map(decoded);

  /** What a box or a frame stands for, first of all. */
  lens.whatIs = (element) => {
    const [op] = lens.namesIn(element, "op");
    const [module] = lens.namesIn(element, "module");
    return op ? { op } : { module };
  };
}
