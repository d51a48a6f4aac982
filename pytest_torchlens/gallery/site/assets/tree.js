"use strict";
/* The tree of modules. Rows are made when what is around them is first opened: models have thousands. */

{
  const OPEN_ROWS = 60; // levels are open at first while they have no more rows

  class Tree {
    /** `modules` is a Map by address. `onSelect` and `onOpen` are called with a module. */
    constructor(root, modules, { onSelect, onOpen }) {
      this.modules = modules;
      this.onSelect = onSelect;
      this.onOpen = onOpen;
      this.rows = new Map();
      this.selected = null;
      const tops = [...modules.values()].filter((module) => module.parent === null);
      root.replaceChildren(this.list(tops));
      this.openLevels(tops);
      root.addEventListener("keydown", (event) => this.key(event));
    }

    /** Open level after level while few rows come of it. */
    openLevels(level) {
      let rows = level.length;
      while (level.length && rows <= OPEN_ROWS) {
        const inner = level.flatMap((module) => module.children);
        rows += inner.length;
        if (rows <= OPEN_ROWS) for (const module of level) this.unfold(module, true);
        level = inner;
      }
    }

    list(modules) {
      return lens.element(
        "ul",
        {},
        modules.map((module) => this.item(module)),
      );
    }

    item(module) {
      const fold = module.children.length
        ? lens.element("button", {
            type: "button",
            class: "fold",
            "aria-expanded": "false",
            "aria-label": `Inside ${module.address}`,
            click: () => this.unfold(module),
          })
        : lens.element("span", { class: "fold" });
      const main = lens.element(
        "button",
        {
          type: "button",
          class: "main",
          title: `${module.address}\n${module.className}`,
          "data-address": module.address,
          click: () => this.onSelect(module),
          dblclick: () => this.onOpen(module),
        },
        lens.element("bdi", { class: "own" }, module.name),
        " ",
        lens.element("bdi", { class: "class" }, module.className),
      );
      const size = lens.element("span", { class: "size" }, module.parameters ? lens.short(module.parameters) : "");
      const inside = lens.element(
        "button",
        {
          type: "button",
          class: "inside",
          title: "Show its inside",
          "aria-label": `Picture of ${module.address}`,
          disabled: !module.pictured,
          click: () => this.onOpen(module),
        },
        "⤢",
      );
      const row = lens.element("div", { class: "branch" }, fold, main, size, inside);
      const item = lens.element("li", {}, row);
      this.rows.set(module.address, { item, row, fold, main, inside, inner: null });
      return item;
    }

    /** Offer the insides that are known to be in a picture by now. */
    showInsides() {
      for (const [address, { inside }] of this.rows) inside.disabled = !this.modules.get(address).pictured;
    }

    /** Fold or unfold; `isOpen` says which, or else the other than now. */
    unfold(module, isOpen) {
      const found = this.rows.get(module.address);
      if (module.children.length === 0) return;
      const isNow = found.fold.getAttribute("aria-expanded") === "true";
      const isNext = isOpen === undefined ? !isNow : isOpen;
      if (isNext && !found.inner) {
        found.inner = this.list(module.children);
        found.item.append(found.inner);
      }
      if (found.inner) found.inner.hidden = !isNext;
      found.fold.setAttribute("aria-expanded", String(isNext));
    }

    /** Mark a module, open what is around it, and bring it in sight. Null marks none. */
    select(module) {
      if (this.selected) {
        this.selected.row.classList.remove("is-selected");
        this.selected.main.removeAttribute("aria-current");
      }
      this.selected = null;
      if (!module) return;
      const around = [];
      for (let one = module.parent; one; one = one.parent) around.unshift(one);
      for (const one of around) this.unfold(one, true);
      this.selected = this.rows.get(module.address);
      this.selected.row.classList.add("is-selected");
      this.selected.main.setAttribute("aria-current", "true");
      this.selected.row.scrollIntoView({ block: "nearest" });
    }

    /** Arrows move in the tree as in a list of files. */
    key(event) {
      const row = event.target.closest(".branch");
      const mains = [...event.currentTarget.querySelectorAll(".main")].filter((main) => main.offsetParent !== null);
      const place = row ? mains.indexOf(row.querySelector(".main")) : -1;
      const fold = row && row.querySelector("button.fold");
      const isOpen = fold && fold.getAttribute("aria-expanded") === "true";
      if (event.key === "ArrowDown" && place + 1 < mains.length) mains[place + 1].focus();
      else if (event.key === "ArrowUp" && place > 0) mains[place - 1].focus();
      else if (event.key === "ArrowRight" && fold && !isOpen) fold.click();
      else if (event.key === "ArrowLeft" && fold && isOpen) fold.click();
      else return;
      event.preventDefault();
      event.stopPropagation();
    }
  }

  lens.Tree = Tree;
}
