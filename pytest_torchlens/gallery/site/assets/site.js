"use strict";
/* What all pages share: building elements, reading data that may be odd, the address, light and dark, keys.

Pages open from file://, where browsers allow classic scripts only. Each script adds to `lens` and keeps the rest in
a block of its own. Data never becomes markup: texts are put in as texts, pictures are parsed as SVG. */

const lens = {};

{
  /** An element: `element("a", {href, click: handler}, "text", child…)`. Absent attributes are left out. */
  lens.element = (tag, attributes, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (typeof value === "function") made.addEventListener(name, value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
    return made;
  };

  lens.find = (id) => document.getElementById(id);

  // -- data, which may lack anything ---------------------------------------------------------------

  lens.text = (value) => (typeof value === "string" ? value : Number.isFinite(value) ? String(value) : "");
  lens.number = (value) => (Number.isFinite(value) ? value : 0);
  lens.list = (value) => (Array.isArray(value) ? value : []);
  lens.record = (value) => (value !== null && typeof value === "object" ? value : {});

  /** The address of a file of the site; null for anything else. */
  lens.link = (value) => (typeof value === "string" && /^[^:/\\][^:\\]*$/.test(value) ? value : null);

  /** Facets as a list of [name, values], empty ones left out. */
  lens.facets = (value) =>
    Object.entries(lens.record(value))
      .map(([name, values]) => [name, lens.list(values).map(lens.text).filter(Boolean)])
      .filter(([, values]) => values.length > 0);

  // -- words ---------------------------------------------------------------------------------------

  const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

  /** 11689512 is 11.7M, and 7e9 is 7G, as in the pictures. */
  lens.short = (number) => COMPACT.format(number).replace("B", "G");

  lens.long = (number) => number.toLocaleString("en");

  /** "1 op", "69 ops", "1,502 ops". */
  lens.count = (number, word) => `${lens.long(number)} ${word}${number === 1 ? "" : "s"}`;

  const TONES = new Map([
    ["failed", "bad"],
    ["crashed", "bad"],
    ["not valid", "bad"],
    ["timeout", "bad"],
    ["validated", "good"],
    ["passed", "good"],
    ["same", "good"],
    ["changed", "changed"],
    ["missing", "changed"],
  ]);
  const SIGNS = { bad: "✕ ", good: "✓ ", changed: "~ ", quiet: "" };

  /** A status as a word, with a sign and a colour that say the same. */
  lens.badge = (word) => {
    const tone = TONES.get(word) || "quiet";
    return lens.element("span", { class: `badge ${tone}` }, SIGNS[tone] + word);
  };

  /** A link to the page of a changed snapshot; null for anything else. */
  lens.changeLink = (change) => {
    const href = lens.link(change.href);
    const name = lens.text(change.name);
    return href && lens.element("a", { href }, name ? `see the change of ${name}` : "see the change");
  };

  // -- the address ---------------------------------------------------------------------------------

  lens.readHash = () => new URLSearchParams(location.hash.slice(1));

  /** Put `parameters` behind the # of the address; with `isStep`, the back button returns to what was there. */
  lens.writeHash = (parameters, isStep = false) => {
    const hash = parameters.toString();
    if (hash === new URLSearchParams(location.hash.slice(1)).toString()) return;
    const address = hash ? `#${hash}` : location.href.split("#")[0];
    if (isStep) history.pushState(null, "", address);
    else history.replaceState(history.state, "", address);
  };

  // -- what is kept between pages; a browser may refuse ----------------------------------------------

  lens.kept = (name) => {
    try {
      return localStorage.getItem(`lens.${name}`) || "";
    } catch {
      return "";
    }
  };

  lens.keep = (name, value) => {
    try {
      localStorage.setItem(`lens.${name}`, value);
    } catch {
      // then it holds for this page only
    }
  };

  /** Where the index was when it was left, so that a page's way back leads there. */
  lens.linkHome = () => {
    const hash = lens.kept("index");
    if (hash.startsWith("#")) lens.find("home").hash = hash;
  };

  // -- light and dark --------------------------------------------------------------------------------

  const THEMES = ["auto", "light", "dark"];
  const MEDIA = { auto: "(prefers-color-scheme: dark)", light: "not all", dark: "all" };

  lens.theme = () =>
    THEMES.includes(document.documentElement.dataset.theme) ? document.documentElement.dataset.theme : "auto";

  function setTheme(name) {
    document.documentElement.dataset.theme = THEMES.includes(name) ? name : "auto";
    for (const svg of document.querySelectorAll(".stage svg")) lens.colour(svg);
  }

  /** Make the dark colours of a picture that is on the page follow the switch. */
  lens.colour = (svg) => {
    for (const style of svg.querySelectorAll("style")) {
      for (const rule of style.sheet ? style.sheet.cssRules : []) {
        if (rule instanceof CSSMediaRule) rule.media.mediaText = MEDIA[lens.theme()];
      }
    }
  };

  function offerThemes() {
    const select = lens.find("theme");
    for (const name of THEMES) select.append(new Option(name, name));
    select.value = lens.theme();
    select.addEventListener("change", () => {
      setTheme(select.value);
      lens.keep("theme", select.value);
    });
    setTheme(lens.theme());
  }

  setTheme(lens.kept("theme")); // before anything is painted
  document.addEventListener("DOMContentLoaded", offerThemes);

  // -- pictures --------------------------------------------------------------------------------------

  /** The element of a picture's text; null if it is none. Scripts in it, of which our writer makes none, go. */
  lens.parsed = (text) => {
    const root = new DOMParser().parseFromString(lens.text(text), "image/svg+xml").documentElement;
    if (root.localName !== "svg" || root.querySelector("parsererror")) return null;
    for (const script of root.querySelectorAll("script, foreignObject")) script.remove();
    return document.adoptNode(root);
  };

  // -- keys and dialogs --------------------------------------------------------------------------------

  const isTyping = (target) => target instanceof Element && target.closest("input, textarea, select") !== null;

  /** Call `actions` (a Map by key) for keys that are not meant for a field or the browser. */
  lens.onKeys = (actions) => {
    document.addEventListener("keydown", (event) => {
      const action = actions.get(event.key);
      const isForOthers = event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target);
      if (!action || isForOthers || document.querySelector("dialog[open]")) return;
      if (action(event) !== false) event.preventDefault();
    });
  };

  /** Show the help of the page for its button, and say how to close dialogs. */
  lens.offerHelp = () => {
    const help = lens.find("help");
    lens.find("ask").addEventListener("click", () => help.showModal());
    for (const button of document.querySelectorAll("dialog .close")) {
      button.addEventListener("click", () => button.closest("dialog").close());
    }
    return () => help.showModal();
  };

  lens.notify = (text) => {
    const notice = lens.find("notice");
    notice.textContent = text;
    notice.hidden = !text;
  };

  lens.isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
}
