"use strict";
/* Finding an op or a module by any of its words: a field with a list of matches below it. */

{
  const MOST = 80; // matches in the list

  class Finder {
    /** `entries` have `haystack`, `name`, `more` and `pick`. */
    constructor(field, list, entries) {
      this.field = field;
      this.list = list;
      this.entries = entries;
      this.options = [];
      this.at = -1;
      field.addEventListener("input", () => this.search());
      field.addEventListener("focus", () => this.search());
      field.addEventListener("keydown", (event) => this.key(event));
      field.addEventListener("blur", () => this.close());
      list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
    }

    search() {
      const words = this.field.value.toLowerCase().split(/\s+/).filter(Boolean);
      if (words.length === 0) return this.close();
      const found = this.entries.filter((entry) => words.every((word) => entry.haystack.includes(word)));
      this.options = found.slice(0, MOST).map((entry, place) => this.option(entry, place));
      const rest = found.length - this.options.length;
      const note = found.length === 0 ? "nothing found" : rest ? `and ${lens.long(rest)} more: say another word` : "";
      this.list.replaceChildren(...this.options, ...(note ? [lens.element("p", { class: "soft" }, note)] : []));
      this.list.hidden = false;
      this.field.setAttribute("aria-expanded", "true");
      this.go(this.options.length ? 0 : -1);
    }

    option(entry, place) {
      const more = lens.element("span", { class: "soft" }, entry.more);
      const attributes = {
        role: "option",
        id: `found-${place}`,
        "aria-selected": "false",
        click: () => this.pick(entry),
      };
      const made = lens.element("div", attributes, lens.element("bdi", {}, entry.name), more);
      made.entry = entry;
      return made;
    }

    go(place) {
      if (this.options[this.at]) this.options[this.at].setAttribute("aria-selected", "false");
      this.at = place;
      const option = this.options[place];
      if (!option) return this.field.removeAttribute("aria-activedescendant");
      option.setAttribute("aria-selected", "true");
      this.field.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    }

    pick(entry) {
      this.close();
      this.field.blur();
      entry.pick();
    }

    close() {
      this.list.hidden = true;
      this.options = [];
      this.at = -1;
      this.field.setAttribute("aria-expanded", "false");
      this.field.removeAttribute("aria-activedescendant");
    }

    key(event) {
      const count = this.options.length;
      if (event.key === "ArrowDown" && count) this.go((this.at + 1) % count);
      else if (event.key === "ArrowUp" && count) this.go((this.at + count - 1) % count);
      else if (event.key === "Enter" && this.options[this.at]) this.pick(this.options[this.at].entry);
      else if (event.key === "Escape") {
        if (!this.field.value) this.field.blur();
        this.field.value = "";
        this.close();
      } else return;
      event.preventDefault();
    }
  }

  lens.Finder = Finder;
}
