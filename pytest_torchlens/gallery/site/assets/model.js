"use strict";
/* A model's page: which picture is shown, what is selected, and how tree, picture, details and address follow. */

{
  let model = null;
  let viewer = null;
  let tree = null;
  let inspector = null;
  let number = 0; // of the picture that is shown
  let selected = null; // {op: label} or {module: address}
  let cursor = null; // the box that was selected: an op may have several
  let turn = 0; // counts what was asked for: a picture that arrives late is not shown

  // -- reading --------------------------------------------------------------------------------------

  function modelFrom(raw) {
    const given = lens.record(raw);
    const made = {
      title: lens.text(given.title) || document.title,
      model: lens.text(given.model),
      test: lens.text(given.test),
      number: lens.number(given.number) || 1,
      reason: lens.text(given.reason),
      facets: lens.facets(given.facets),
      ops: lens.number(given.ops),
      total: lens.number(given.layers_total),
      parameters: lens.number(given.parameters),
      device: lens.text(given.device),
      seconds: lens.number(given.seconds),
      structure: lens.text(given.structure),
      changes: lens.list(given.changes).map(lens.record),
      omitted: lens.number(given.omitted),
      pictures: lens.list(given.pictures).map(pictureFrom),
      sources: lens.list(given.sources).map((one) => ({ place: lens.text(lens.record(one).place), code: lens.text(lens.record(one).code) })),
      layers: lens.list(given.layers).map(layerFrom).filter((layer) => layer.label),
    };
    made.modules = modulesFrom(lens.list(given.modules), made.pictures.length);
    const layers = new Map(made.layers.map((layer) => [layer.label, layer]));
    const inside = Map.groupBy(made.layers, (layer) => layer.module);
    made.layer = (label) => layers.get(label) || layers.get(withoutPass(label));
    made.layersOf = (address) => inside.get(address) || [];
    return made;
  }

  function pictureFrom(raw) {
    const given = lens.record(raw);
    return {
      name: lens.text(given.name) || "picture",
      isModule: given.kind === "module",
      module: lens.text(given.module),
      depth: Number.isFinite(given.depth) ? given.depth : Infinity,
      isRolled: given.rolled !== false,
      boxes: lens.number(given.boxes),
      file: lens.link(given.file),
      notes: lens.list(given.notes).map(lens.text).filter(Boolean),
    };
  }

  function layerFrom(raw) {
    const given = lens.record(raw);
    return {
      label: lens.text(given.label),
      name: lens.text(given.name),
      category: lens.text(given.category) || "other",
      module: lens.text(given.module),
      arguments: lens.text(given.arguments),
      shape: lens.text(given.shape),
      dtype: lens.text(given.dtype),
      parameters: lens.number(given.parameters),
      passes: lens.number(given.passes) || 1,
      sources: lens.list(given.sources),
      reads: lens.list(given.reads).map(lens.text),
      readBy: lens.list(given.read_by).map(lens.text),
      statistics: given.statistics ? lens.record(given.statistics) : null,
    };
  }

  /** Modules by address, each with its parent, its children and the module whose picture shows its inside. */
  function modulesFrom(list, pictures) {
    const found = new Map();
    for (const raw of list) {
      const given = lens.record(raw);
      const address = lens.text(given.address);
      if (!address) continue;
      found.set(address, {
        address,
        className: lens.text(given.class),
        parameters: lens.number(given.parameters),
        passes: lens.number(given.passes) || 1,
        shape: lens.text(given.shape),
        picture: Number.isInteger(given.picture) && given.picture >= 0 && given.picture < pictures ? given.picture : null,
        equal: lens.text(given.like),
        children: [],
      });
    }
    for (const module of found.values()) {
      module.parent = around(module.address, found);
      module.name = module.parent ? module.address.slice(module.parent.address.length + 1) : module.address;
      module.like = module.equal === module.address ? null : found.get(module.equal) || null;
      module.pictured = [module, module.like].find((one) => one && one.picture !== null) || null;
      if (module.parent) module.parent.children.push(module);
    }
    return found;
  }

  function around(address, modules) {
    for (let end = address.lastIndexOf("."); end > 0; end = address.lastIndexOf(".", end - 1)) {
      const found = modules.get(address.slice(0, end));
      if (found) return found;
    }
    return null;
  }

  function withoutPass(label) {
    return label.replace(/:\d+$/, "");
  }

  // -- what stands in a picture ---------------------------------------------------------------------

  const known = new WeakMap();

  /** Of a picture: elements by op and by module, boxes in order, and edges by the id of the box at each end. */
  function marksOf(svg) {
    if (!known.has(svg)) known.set(svg, readMarks(svg));
    return known.get(svg);
  }

  function readMarks(svg) {
    const marks = { ops: new Map(), modules: new Map(), boxes: [], from: new Map(), to: new Map() };
    for (const element of svg.querySelectorAll("[data-op], [data-module]")) {
      for (const label of namesIn(element, "op")) {
        add(marks.ops, label, element);
        if (withoutPass(label) !== label) add(marks.ops, withoutPass(label), element);
      }
      for (const address of namesIn(element, "module")) add(marks.modules, address, element);
      if (!isFrame(element)) marks.boxes.push(element);
    }
    const byId = new Map(marks.boxes.map((box) => [box.id, box]));
    for (const element of svg.querySelectorAll("[data-from]")) {
      for (const from of element.dataset.from.split(" ")) {
        const to = element.dataset.to || element.id; // a short edge is drawn as part of the box it leads to
        const edge = { path: element.dataset.to ? element : null, tail: byId.get(from), head: byId.get(to) };
        add(marks.from, from, edge);
        add(marks.to, to, edge);
      }
    }
    return marks;
  }

  function add(map, key, value) {
    if (map.has(key)) map.get(key).push(value);
    else map.set(key, [value]);
  }

  /** Names in an attribute of a box, in which a space of a name is written %20. */
  function namesIn(element, name) {
    return (element.dataset[name] || "").split(" ").filter(Boolean).map(decoded);
  }

  function decoded(name) {
    try {
      return decodeURIComponent(name);
    } catch {
      return name;
    }
  }

  const isFrame = (element) => element.localName === "rect";
  const isClosed = (element) => !isFrame(element) && !element.dataset.op;

  /** The elements that show an op: its own, or else the closed module that it is in. */
  function elementsOfOp(label, marks) {
    const own = marks.ops.get(label) || marks.ops.get(withoutPass(label));
    const layer = model.layer(label);
    return own || (layer ? closedAround(layer.module, marks) : []);
  }

  function elementsOfModule(address, marks) {
    return marks.modules.get(address) || closedAround(address, marks);
  }

  function closedAround(address, marks) {
    for (let module = model.modules.get(address); module; module = module.parent) {
      const shown = marks.modules.get(module.address) || [];
      if (shown.length) return shown.filter(isClosed);
    }
    return [];
  }

  // -- pictures, which come as scripts ----------------------------------------------------------------

  const arrived = new Map();
  const loading = new Map();

  lens.picture = (place, text) => arrived.set(place, lens.parsed(text));

  /** A promise of the picture's element. */
  function load(place) {
    if (!loading.has(place)) loading.set(place, arrived.has(place) ? Promise.resolve(arrived.get(place)) : fetched(place));
    return loading.get(place);
  }

  function fetched(place) {
    const { file, name } = model.pictures[place];
    return new Promise((resolve, reject) => {
      const fail = () => {
        loading.delete(place);
        reject(new Error(`The picture “${name}” cannot be read: ${file || "its file"} is missing or broken.`));
      };
      if (!file) return fail();
      const done = () => (arrived.get(place) ? resolve(arrived.get(place)) : fail());
      document.head.append(lens.element("script", { src: file, load: done, error: fail }));
    });
  }

  /** Show a picture; whether it is shown in the end. */
  async function show(place) {
    const mine = ++turn;
    try {
      const svg = await load(place);
      if (mine !== turn) return false;
      number = place;
      viewer.show(svg);
      say("");
    } catch (error) {
      if (mine === turn) say(error.message);
      return false;
    } finally {
      if (mine === turn) showTools();
    }
    return true;
  }

  /** The number of a picture that has `name` among its ops or modules; null if there is none. */
  async function pictureWith(name, kind, address) {
    for (const place of candidates(address)) {
      const svg = await load(place).catch(() => null);
      if (svg && marksOf(svg)[kind].has(name)) return place;
    }
    return null;
  }

  /** Pictures that may show what is in a module: of modules around it, inner ones first, then of the whole, deep ones first. */
  function candidates(address) {
    const found = [];
    for (let module = model.modules.get(address); module; module = module.parent) if (module.picture !== null) found.push(module.picture);
    const { isRolled } = model.pictures[number];
    const wholes = model.pictures.map((picture, place) => ({ picture, place })).filter(({ picture }) => !picture.isModule && picture.isRolled === isRolled);
    wholes.sort((one, other) => other.picture.boxes - one.picture.boxes);
    return [...found, ...wholes.map(({ place }) => place)];
  }

  // -- selecting --------------------------------------------------------------------------------------

  const CLASSES = ["is-selected", "is-source", "is-reader", "is-in", "is-out"];

  function unmark(root) {
    for (const element of root.querySelectorAll(CLASSES.map((name) => `.${name}`).join())) element.classList.remove(...CLASSES);
  }

  /** Select an op or a module, or nothing, and show it everywhere. */
  function select(what, { at = null, isRevealed = true } = {}) {
    selected = what;
    const marks = viewer.svg ? marksOf(viewer.svg) : null;
    const elements = marks ? mark(marks) : [];
    cursor = at || elements[0] || null;
    if (cursor && isRevealed) viewer.reveal(cursor);
    const module = what && (what.module || (model.layer(what.op) || {}).module);
    tree.select(model.modules.get(module) || null);
    showDetails(elements);
    lens.find("details-name").textContent = what ? what.op || what.module : "Details";
    writeAddress();
  }

  /** Mark in the picture what is selected, the boxes that lead to it and those it leads to; returns its elements. */
  function mark(marks) {
    unmark(viewer.svg);
    if (!selected) return [];
    const elements = selected.op ? elementsOfOp(selected.op, marks) : elementsOfModule(selected.module, marks);
    const put = (element, name) => element && element.classList.add(name);
    for (const { id } of elements) {
      for (const { path, tail } of marks.to.get(id) || []) {
        put(path, "is-in");
        put(tail, "is-source");
      }
      for (const { path, head } of marks.from.get(id) || []) {
        put(path, "is-out");
        put(head, "is-reader");
      }
    }
    for (const element of elements) {
      element.classList.remove("is-source", "is-reader");
      element.classList.add("is-selected");
    }
    return elements;
  }

  function showDetails([element]) {
    const layer = selected && selected.op && model.layer(selected.op);
    const module = selected && selected.module && model.modules.get(selected.module);
    if (layer) inspector.showOp(layer, element && element.dataset.op ? namesIn(element, "op") : []);
    else if (module) inspector.showModule(module, element && !element.dataset.op ? namesIn(element, "module") : []);
    else if (selected) inspector.showUnknown(selected.op || selected.module);
    else inspector.showModel(model.pictures[number]);
  }

  /** Select an op or a module, in a picture that shows it if there is one. */
  async function reach(what) {
    setPane("picture");
    const [name, kind] = what.op ? [what.op, "ops"] : [what.module, "modules"];
    if (viewer.svg && !marksOf(viewer.svg)[kind].has(name)) {
      const mine = ++turn;
      const address = what.op ? (model.layer(what.op) || {}).module : what.module;
      const place = await pictureWith(name, kind, address);
      if (mine !== turn) return;
      if (place !== null) await show(place);
    }
    select(what);
    const [element] = viewer.svg.querySelectorAll(".is-selected");
    if (!element) say(`${name} is not drawn in any picture.`);
    else if (!marksOf(viewer.svg)[kind].has(name)) say(`${name} is inside ${namesIn(element, "module")[0]}, which is drawn closed.`);
  }

  /** Show the inside of what is selected: of the module, or of the innermost module around the op that has a picture. */
  function openSelected() {
    let module = selectedModule();
    while (selected && selected.op && module && module.parent && !module.pictured) module = module.parent;
    return open(module);
  }

  /** Show the inside of a module. */
  async function open(module) {
    if (!module) return;
    const { pictured } = module;
    if (!pictured) {
      if (!selected || selected.module !== module.address) select({ module: module.address });
      return say(`${module.address} has no picture of its own.`);
    }
    setPane("picture");
    if (pictured.picture !== number && !(await show(pictured.picture))) return;
    select({ module: pictured.address });
    if (pictured !== module) say(`${module.address} is equal to ${pictured.address}, which is shown.`);
  }

  /** The module that is selected, or that the selected op is in. */
  function selectedModule() {
    if (!selected) return null;
    const layer = selected.op && model.layer(selected.op);
    return model.modules.get(selected.module || (layer && layer.module)) || null;
  }

  async function up() {
    const here = model.modules.get(model.pictures[number] && model.pictures[number].module);
    if (!here) {
      if (number !== 0) await show(0);
      return select(null);
    }
    let outer = here.parent;
    while (outer && outer.picture === null) outer = outer.parent;
    if (await show(outer ? outer.picture : 0)) select({ module: here.address });
  }

  /** Go to the next or the previous box of the picture. */
  function step(by) {
    if (!viewer.svg) return;
    const { boxes } = marksOf(viewer.svg);
    const from = boxes.indexOf(cursor);
    const to = from < 0 ? (by > 0 ? 0 : boxes.length - 1) : from + by;
    if (boxes[to]) select(whatIs(boxes[to]), { at: boxes[to] });
  }

  function whatIs(element) {
    const [label] = namesIn(element, "op");
    const [address] = namesIn(element, "module");
    return label ? { op: label } : { module: address };
  }

  // -- tools around the picture -------------------------------------------------------------------------

  function showTools() {
    const picture = model.pictures[number];
    if (!picture) return;
    showViews(picture);
    showRolling(picture);
    showCrumbs(picture);
  }

  function showViews(picture) {
    const option = ({ name, boxes }, place) => new Option(boxes ? `${name} · ${lens.count(boxes, "box").replace("boxs", "boxes")}` : name, place, false, place === number);
    const group = (label, isWanted) => {
      const options = model.pictures.map((one, place) => (isWanted(one) ? option(one, place) : null)).filter(Boolean);
      return options.length ? lens.element("optgroup", { label }, options) : "";
    };
    const isSame = (one) => one.isRolled === picture.isRolled || one === picture;
    lens.find("view").replaceChildren(
      group("the whole model", (one) => !one.isModule && isSame(one)),
      group("inside a module", (one) => one.isModule && isSame(one)),
    );
  }

  function partnerOf(picture, isRolled) {
    const others = model.pictures.filter((one) => one.isRolled === isRolled && one.isModule === picture.isModule && one.module === picture.module);
    return others.find((one) => one.depth === picture.depth) || others[0];
  }

  function showRolling(picture) {
    const buttons = lens.find("rolling").querySelectorAll("button");
    for (const button of buttons) {
      const isRolled = button.dataset.rolled === "true";
      button.setAttribute("aria-pressed", String(isRolled === picture.isRolled));
      button.disabled = !partnerOf(picture, isRolled);
    }
    lens.find("rolling").hidden = [...buttons].some((button) => button.disabled);
  }

  function showCrumbs(picture) {
    const chain = [];
    for (let module = model.modules.get(picture.module); module; module = module.parent) chain.unshift(module);
    const name = model.model || model.title;
    const crumb = (words, title, go, isLast) =>
      lens.element("li", {}, go && !isLast ? lens.element("button", { type: "button", class: "link", title, click: go }, lens.element("bdi", {}, words)) : lens.element("bdi", { title, "aria-current": isLast ? "page" : null }, words));
    lens.find("crumbs").replaceChildren(
      crumb(name, "the whole model", () => toPicture(0), picture.module === "" && number === 0),
      ...chain.map((module, place) => crumb(module.name, module.address, module.picture === null ? null : () => toPicture(module.picture), place === chain.length - 1)),
      ...(picture.module === "" && number !== 0 ? [crumb(picture.name, picture.name, null, true)] : []),
    );
  }

  /** Another picture, with the same selection. */
  async function toPicture(place) {
    if (await show(place)) select(selected);
  }

  function say(words) {
    lens.find("said").textContent = words;
  }

  function save() {
    if (!viewer.svg) return;
    const copy = viewer.svg.cloneNode(true);
    unmark(copy);
    copy.removeAttribute("style");
    const file = new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" });
    const address = URL.createObjectURL(file);
    const name = `${model.title} ${model.pictures[number] ? model.pictures[number].name : ""}`.replace(/[^\w.]+/g, "-").slice(0, 80);
    lens.element("a", { href: address, download: `${name}.svg` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }

  function setPane(name) {
    document.body.dataset.pane = name;
    for (const button of document.querySelectorAll(".panes-switch button")) button.setAttribute("aria-pressed", String(button.dataset.pane === name));
  }

  // -- the address --------------------------------------------------------------------------------------

  function writeAddress() {
    const parameters = new URLSearchParams();
    if (number) parameters.set("picture", number);
    if (selected) parameters.set(selected.op ? "op" : "module", selected.op || selected.module);
    lens.writeHash(parameters);
  }

  async function readAddress() {
    const parameters = lens.readHash();
    const asked = Number(parameters.get("picture") || 0);
    const place = model.pictures[asked] ? asked : 0;
    const op = parameters.get("op");
    const module = parameters.get("module");
    if (model.pictures.length && (place !== number || !viewer.svg) && !(await show(place)) && viewer.svg === null) return;
    if (op) await reach({ op });
    else if (module && (place !== 0 || !viewer.svg)) select({ module });
    else if (module) await reach({ module });
    else select(null);
  }

  // -- start ----------------------------------------------------------------------------------------------

  function listen(stage) {
    stage.addEventListener("click", (event) => {
      const element = event.target.closest("[data-op], [data-module]");
      select(element ? whatIs(element) : null, { at: element, isRevealed: false });
    });
    stage.addEventListener("dblclick", (event) => {
      if (event.target.closest("[data-op], [data-module]")) openSelected();
    });
    lens.find("view").addEventListener("change", (event) => toPicture(Number(event.target.value)));
    for (const button of lens.find("rolling").querySelectorAll("button")) {
      button.addEventListener("click", () => toPicture(model.pictures.indexOf(partnerOf(model.pictures[number], button.dataset.rolled === "true"))));
    }
    for (const button of document.querySelectorAll(".panes-switch button")) button.addEventListener("click", () => setPane(button.dataset.pane));
    lens.find("save").addEventListener("click", save);
    window.addEventListener("hashchange", readAddress);
    const isFree = ({ target }) => target === document.body || stage.contains(target);
    const help = lens.offerHelp();
    lens.onKeys(
      new Map([
        ["/", () => lens.find("find").select()],
        ["?", help],
        ["Escape", () => select(null)],
        ["j", () => step(1)],
        ["k", () => step(-1)],
        ["ArrowDown", (event) => (isFree(event) ? step(1) : false)],
        ["ArrowUp", (event) => (isFree(event) ? step(-1) : false)],
        ["o", () => openSelected()],
        ["Enter", (event) => (isFree(event) ? openSelected() : false)],
        ["u", up],
        ["+", () => viewer.larger()],
        ["=", () => viewer.larger()],
        ["-", () => viewer.smaller()],
        ["0", () => viewer.actual()],
        ["f", () => viewer.fit()],
      ]),
    );
  }

  function entries() {
    const layers = model.layers.map((layer) => {
      const places = layer.sources.map((place) => model.sources[place]).filter(Boolean).map(({ place }) => place);
      const words = [layer.label, layer.name, layer.arguments, layer.category, layer.module, layer.shape, ...places];
      const more = [layer.name, layer.arguments, layer.module && `in ${layer.module}`].filter(Boolean).join(" · ");
      return { name: layer.label, more, haystack: words.join("\n").toLowerCase(), pick: () => reach({ op: layer.label }) };
    });
    const modules = [...model.modules.values()].map(({ address, className }) => {
      return { name: address, more: className, haystack: `${address}\n${className}`.toLowerCase(), pick: () => reach({ module: address }) };
    });
    return [...layers, ...modules];
  }

  lens.model = (raw) => {
    model = modelFrom(raw);
    const stage = lens.find("stage");
    const facts = [model.number > 1 ? `graph ${model.number}` : "", model.model, model.ops ? lens.count(model.ops, "op") : "", model.parameters ? `${lens.short(model.parameters)} params` : ""];
    lens.find("facts").textContent = facts.filter(Boolean).join(" · ");
    lens.linkHome();
    viewer = lens.viewerWithButtons(stage);
    inspector = new lens.Inspector(lens.find("details"), model, {
      op: (label) => reach({ op: label }),
      module: (address) => reach({ module: address }),
      open,
    });
    tree = new lens.Tree(lens.find("tree"), model.modules, { onSelect: (module) => reach({ module: module.address }), onOpen: open });
    new lens.Finder(lens.find("find"), lens.find("found"), entries());
    const first = stage.querySelector(":scope > svg");
    if (first) {
      arrived.set(0, first);
      viewer.show(first);
    }
    document.body.classList.toggle("has-no-picture", !first);
    setPane("picture");
    showTools();
    listen(stage);
    readAddress();
  };

  document.addEventListener("DOMContentLoaded", () => {
    if (model === null) lens.notify("data.js, which describes this model, is missing or cannot be read. The picture is all there is.");
  });
}
