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

  // -- pictures, which come as scripts ----------------------------------------------------------------

  const arrived = new Map();
  const loading = new Map();

  lens.picture = (place, text) => arrived.set(place, lens.parsed(text));

  /** A promise of the picture's element. */
  function load(place) {
    if (!loading.has(place))
      loading.set(place, arrived.has(place) ? Promise.resolve(arrived.get(place)) : fetched(place));
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
      noteShared(svg);
      say("");
    } catch (error) {
      if (mine === turn) say(error.message);
      return false;
    } finally {
      if (mine === turn) showTools();
    }
    return true;
  }

  /** Note which modules a picture draws as one: what is drawn of one is the inside of the others too. */
  function noteShared(svg) {
    for (const addresses of lens.marksOf(svg).shared) {
      const modules = addresses.map((address) => model.modules.get(address)).filter(Boolean);
      const drawn = modules.find(({ picture }) => picture !== null);
      for (const module of drawn ? modules : []) module.pictured = module.pictured || drawn;
    }
    tree.showInsides();
  }

  /** The number of a picture that shows `what`, an op or a module, by itself; null if there is none. */
  async function pictureWith(what) {
    for (const place of candidates(addressOf(what))) {
      const svg = await load(place).catch(() => null);
      if (svg && lens.marksOf(svg).has(what)) return place;
    }
    return null;
  }

  /** The address of a module, or of the one that an op is in. */
  function addressOf(what) {
    return what.module || (model.layer(what.op) || {}).module;
  }

  /** Pictures that may show what is in a module: of modules around it, inner ones first, then of the whole, deep ones first. */
  function candidates(address) {
    const found = [];
    for (let module = model.modules.get(address); module; module = module.parent)
      if (module.picture !== null) found.push(module.picture);
    const { isRolled } = model.pictures[number];
    const wholes = model.pictures
      .map((picture, place) => ({ picture, place }))
      .filter(({ picture }) => !picture.isModule && picture.isRolled === isRolled);
    wholes.sort((one, other) => other.picture.boxes - one.picture.boxes);
    return [...found, ...wholes.map(({ place }) => place)];
  }

  // -- selecting --------------------------------------------------------------------------------------

  /** Select an op or a module, or nothing, and show it everywhere. */
  function select(what, { at = null, isRevealed = true } = {}) {
    selected = what;
    const elements = mark();
    cursor = at || elements[0] || null;
    if (cursor && isRevealed) viewer.reveal(cursor);
    tree.select(selectedModule());
    showDetails(elements);
    lens.find("details-name").textContent = what ? what.op || what.module : "Details";
    writeAddress();
  }

  /** Mark in the picture what is selected; returns its elements. */
  function mark() {
    if (!viewer.svg) return [];
    const marks = lens.marksOf(viewer.svg);
    const elements = selected ? marks.elementsOf(selected, model) : [];
    marks.select(elements);
    return elements;
  }

  function showDetails([element]) {
    const layer = selected && selected.op && model.layer(selected.op);
    const module = selected && selected.module && model.modules.get(selected.module);
    if (layer) inspector.showOp(layer, element && element.dataset.op ? lens.namesIn(element, "op") : []);
    else if (module)
      inspector.showModule(module, element && !element.dataset.op ? lens.namesIn(element, "module") : []);
    else if (selected) inspector.showUnknown(selected.op || selected.module);
    else inspector.showModel(model.pictures[number]);
  }

  /** Select an op or a module, in a picture that shows it if there is one. */
  async function reach(what) {
    setPane("picture");
    const isShown = () => lens.marksOf(viewer.svg).has(what);
    if (viewer.svg && !isShown()) {
      const mine = ++turn;
      const place = await pictureWith(what);
      if (mine !== turn) return;
      if (place !== null) await show(place);
    }
    select(what);
    if (!viewer.svg || isShown()) return;
    const name = what.op || what.module;
    say(
      cursor
        ? `${name} is inside ${lens.whatIs(cursor).module}, which is drawn closed.`
        : `${name} is not drawn in any picture.`,
    );
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
    if (pictured !== module) say(`${module.address} is drawn as one with ${pictured.address}, which is shown.`);
  }

  /** The module that is selected, or that the selected op is in. */
  function selectedModule() {
    return (selected && model.modules.get(addressOf(selected))) || null;
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
    const { boxes } = lens.marksOf(viewer.svg);
    const from = boxes.indexOf(cursor);
    const to = from < 0 ? (by > 0 ? 0 : boxes.length - 1) : from + by;
    if (boxes[to]) select(lens.whatIs(boxes[to]), { at: boxes[to] });
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
    const option = ({ name, boxes }, place) =>
      new Option(
        boxes ? `${name} · ${lens.count(boxes, "box").replace("boxs", "boxes")}` : name,
        place,
        false,
        place === number,
      );
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
    const others = model.pictures.filter(
      (one) => one.isRolled === isRolled && one.isModule === picture.isModule && one.module === picture.module,
    );
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
      lens.element(
        "li",
        {},
        go && !isLast
          ? lens.element("button", { type: "button", class: "link", title, click: go }, lens.element("bdi", {}, words))
          : lens.element("bdi", { title, "aria-current": isLast ? "page" : null }, words),
      );
    lens.find("crumbs").replaceChildren(
      crumb(name, "the whole model", () => toPicture(0), picture.module === "" && number === 0),
      ...chain.map((module, place) =>
        crumb(
          module.name,
          module.address,
          module.picture === null ? null : () => toPicture(module.picture),
          place === chain.length - 1,
        ),
      ),
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
    lens.unmark(copy);
    copy.removeAttribute("style");
    const file = new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" });
    const address = URL.createObjectURL(file);
    const name = `${model.title} ${model.pictures[number] ? model.pictures[number].name : ""}`
      .replace(/[^\w.]+/g, "-")
      .slice(0, 80);
    lens.element("a", { href: address, download: `${name}.svg` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }

  function setPane(name) {
    document.body.dataset.pane = name;
    for (const button of document.querySelectorAll(".panes-switch button"))
      button.setAttribute("aria-pressed", String(button.dataset.pane === name));
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
    if (model.pictures.length && (place !== number || !viewer.svg) && !(await show(place)) && viewer.svg === null)
      return;
    if (op) await reach({ op });
    else if (module && (place !== 0 || !viewer.svg)) select({ module });
    else if (module) await reach({ module });
    else select(null);
  }

  // -- start ----------------------------------------------------------------------------------------------

  function listen(stage) {
    stage.addEventListener("click", (event) => {
      const element = event.target.closest("[data-op], [data-module]");
      select(element ? lens.whatIs(element) : null, { at: element, isRevealed: false });
    });
    stage.addEventListener("dblclick", (event) => {
      if (event.target.closest("[data-op], [data-module]")) openSelected();
    });
    lens.find("view").addEventListener("change", (event) => toPicture(Number(event.target.value)));
    for (const button of lens.find("rolling").querySelectorAll("button")) {
      button.addEventListener("click", () =>
        toPicture(model.pictures.indexOf(partnerOf(model.pictures[number], button.dataset.rolled === "true"))),
      );
    }
    for (const button of document.querySelectorAll(".panes-switch button"))
      button.addEventListener("click", () => setPane(button.dataset.pane));
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
      const places = layer.sources
        .map((place) => model.sources[place])
        .filter(Boolean)
        .map(({ place }) => place);
      const words = [layer.label, layer.name, layer.arguments, layer.category, layer.module, layer.shape, ...places];
      const more = [layer.name, layer.arguments, layer.module && `in ${layer.module}`].filter(Boolean).join(" · ");
      return {
        name: layer.label,
        more,
        haystack: words.join("\n").toLowerCase(),
        pick: () => reach({ op: layer.label }),
      };
    });
    const modules = [...model.modules.values()].map(({ address, className }) => {
      return {
        name: address,
        more: className,
        haystack: `${address}\n${className}`.toLowerCase(),
        pick: () => reach({ module: address }),
      };
    });
    return [...layers, ...modules];
  }

  lens.model = (raw) => {
    model = lens.readModel(raw);
    const stage = lens.find("stage");
    const facts = [
      model.number > 1 ? `graph ${model.number}` : "",
      model.model,
      model.ops ? lens.count(model.ops, "op") : "",
      model.parameters ? `${lens.short(model.parameters)} params` : "",
    ];
    lens.find("facts").textContent = facts.filter(Boolean).join(" · ");
    lens.linkHome();
    viewer = lens.viewerWithButtons(stage);
    inspector = new lens.Inspector(lens.find("details"), model, {
      op: (label) => reach({ op: label }),
      module: (address) => reach({ module: address }),
      open,
    });
    tree = new lens.Tree(lens.find("tree"), model.modules, {
      onSelect: (module) => reach({ module: module.address }),
      onOpen: open,
    });
    new lens.Finder(lens.find("find"), lens.find("found"), entries());
    const first = stage.querySelector(":scope > svg");
    if (first) {
      arrived.set(0, first);
      viewer.show(first);
      noteShared(first);
    }
    document.body.classList.toggle("has-no-picture", !first);
    setPane("picture");
    showTools();
    listen(stage);
    readAddress();
  };

  document.addEventListener("DOMContentLoaded", () => {
    if (model === null)
      lens.notify("data.js, which describes this model, is missing or cannot be read. The picture is all there is.");
  });
}
