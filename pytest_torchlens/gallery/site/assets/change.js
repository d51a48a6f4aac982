"use strict";
/* A page of one changed snapshot: the picture of the change, the words for it, and both sides. */

{
  const SIDES = ["before", "after", "both"];
  const SIGNS = new Map([
    ["+", "added"],
    ["-", "removed"],
    ["−", "removed"],
    ["~", "changed"],
    ["!", "changed"],
    ["@", "place"],
  ]);

  /** The lines of a diff, each with the class that its first sign says. */
  function lines(text) {
    return text.split("\n").map((line) => {
      const kind = SIGNS.get(line.trimStart().charAt(0));
      return lens.element("span", { class: kind ? `line ${kind}` : "line" }, `${line}\n`);
    });
  }

  function showUnion() {
    const stage = lens.find("union");
    const svg = stage.querySelector(":scope > svg");
    if (svg) new lens.Viewer(stage).show(svg);
  }

  /** Tabs for the sides there are; a picture is parsed when its tab is first chosen. */
  function showSides(pictures) {
    const viewer = lens.viewerWithButtons(lens.find("stage"));
    const parsed = new Map();
    const tabs = [];
    const choose = (place) => {
      tabs.forEach((tab, other) => {
        tab.setAttribute("aria-selected", String(other === place));
        tab.tabIndex = other === place ? 0 : -1;
      });
      if (!parsed.has(place)) parsed.set(place, lens.parsed(pictures[place].svg));
      const svg = parsed.get(place);
      if (svg) viewer.show(svg);
      else
        lens
          .find("stage")
          .replaceChildren(
            lens.element("div", { class: "nothing" }, lens.element("h2", {}, "This picture cannot be shown.")),
          );
    };
    pictures.forEach((picture, place) => {
      const tab = lens.element(
        "button",
        { type: "button", role: "tab", "aria-controls": "stage", click: () => choose(place) },
        picture.name,
      );
      tabs.push(tab);
    });
    const sides = lens.find("sides");
    sides.append(...tabs);
    sides.addEventListener("keydown", (event) => {
      const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      const tab = tabs[tabs.indexOf(event.target) + by];
      if (by === 0 || !tab) return;
      tab.focus();
      tab.click();
    });
    if (pictures.length) choose(0);
    else sides.closest("section").hidden = true;
  }

  /** Copy the command; where the browser keeps the clipboard to itself, select it. */
  async function copy() {
    const code = lens.find("accept");
    try {
      await navigator.clipboard.writeText(code.textContent);
      lens.find("copied").textContent = "copied";
    } catch {
      getSelection().selectAllChildren(code);
      lens.find("copied").textContent = "selected: copy it with Ctrl+C";
    }
  }

  lens.change = (raw) => {
    const given = lens.record(raw);
    const name = lens.text(given.name);
    lens.find("facts").textContent = [lens.text(given.file), name].filter(Boolean).join(" · ");
    lens.find("facts").title = lens.text(given.test);
    lens.find("text").replaceChildren(...lines(lens.text(given.text) || "There is no text of this change."));
    const command = lens.text(given.accept);
    lens.find("accepting").hidden = !command;
    lens.find("accept").textContent = command;
    lens.find("copy").addEventListener("click", copy);
    lens.linkHome();
    showUnion();
    const pictures = lens
      .list(given.pictures)
      .map(lens.record)
      .map(({ name: side, svg }) => ({ name: lens.text(side), svg: lens.text(svg) }));
    showSides(
      pictures.filter(({ svg }) => svg).sort((one, other) => SIDES.indexOf(one.name) - SIDES.indexOf(other.name)),
    );
  };

  document.addEventListener("DOMContentLoaded", () => {
    if (!lens.find("text").hasChildNodes())
      lens.notify("data.js, which describes this change, is missing or cannot be read. The picture is all there is.");
  });
}
