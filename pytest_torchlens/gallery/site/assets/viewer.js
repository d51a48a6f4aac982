"use strict";
/* A picture in a box that scrolls: zoom, fit, drag, and going to what is selected.

The picture is as large as its zoom says, and the box scrolls natively: wheel, touch and keys need nothing of ours. */

{
  const STEP = 1.25;
  const LEAST = 0.05;
  const MOST = 8;
  const READABLE = 0.45; // a picture that would be smaller if its width were fitted is scrolled at first
  const MARGIN = 24; // around the picture, as in site.css
  const FAR = 4; // pixels from which on a press is a drag

  class Viewer {
    constructor(stage, onZoom = () => {}) {
      this.stage = stage;
      this.onZoom = onZoom;
      this.svg = null;
      this.scale = 1;
      this.hasDragged = false;
      this.isWhole = false;
      this.isFitted = false;
      this.isFirst = false;
      new ResizeObserver(() => this.refit()).observe(stage);
      stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      stage.addEventListener("pointerdown", (event) => this.press(event));
      stage.addEventListener("click", (event) => this.swallow(event), { capture: true });
    }

    /** Show `svg`, its width fitted, but not larger than it was drawn, nor so small that nothing can be read. */
    show(svg) {
      this.svg = svg;
      const box = svg.viewBox.baseVal;
      this.width = (box && box.width) || svg.width.baseVal.value || 300;
      this.height = (box && box.height) || svg.height.baseVal.value || 150;
      if (svg.parentNode !== this.stage || this.stage.children.length > 1) this.stage.replaceChildren(svg);
      lens.colour(svg);
      this.isWhole = false;
      this.resize(this.firstScale(), true);
      this.stage.scrollTo(this.beginning(), 0);
    }

    /** How far to scroll a picture that is wider than its room, for its first box to be in the middle. */
    beginning() {
      const box = this.svg.querySelector("[data-op], [data-module]:not(rect)");
      if (!box || this.scale <= this.widthScale()) return 0;
      const [place, room] = [box.getBoundingClientRect(), this.stage.getBoundingClientRect()];
      return this.stage.scrollLeft + (place.left + place.right - room.left - room.right) / 2;
    }

    firstScale() {
      return Math.max(READABLE, this.widthScale());
    }

    refit() {
      if (this.isFirst) this.resize(this.firstScale(), true);
      else if (this.isFitted) this.resize(this.widthScale());
    }

    widthScale() {
      return Math.min(1, (this.stage.clientWidth - 2 * MARGIN) / this.width);
    }

    wholeScale() {
      return Math.min(this.widthScale(), (this.stage.clientHeight - 2 * MARGIN) / this.height);
    }

    resize(scale, isFirst = false) {
      if (!this.svg) return;
      this.scale = Math.min(Math.max(scale, LEAST), MOST);
      this.svg.style.width = `${this.width * this.scale}px`;
      this.svg.style.height = `${this.height * this.scale}px`;
      this.isFirst = isFirst;
      this.isFitted = scale === this.widthScale();
      this.onZoom(this.scale);
    }

    /** Zoom to `scale`; what is at the place (x, y) of the window stays there. */
    zoom(scale, x, y) {
      if (!this.svg) return;
      const before = this.svg.getBoundingClientRect();
      const [across, down] = [(x - before.left) / before.width, (y - before.top) / before.height];
      this.resize(scale);
      const after = this.svg.getBoundingClientRect();
      this.stage.scrollBy(after.left + across * after.width - x, after.top + down * after.height - y);
    }

    zoomCentre(scale) {
      const room = this.stage.getBoundingClientRect();
      this.zoom(scale, room.left + room.width / 2, room.top + room.height / 2);
    }

    larger() {
      this.zoomCentre(this.scale * STEP);
    }

    smaller() {
      this.zoomCentre(this.scale / STEP);
    }

    actual() {
      this.zoomCentre(1);
    }

    /** Fit the width; if it is, the whole. */
    fit() {
      this.isWhole = !this.isWhole && this.isFitted;
      this.zoomCentre(this.isWhole ? this.wholeScale() : this.widthScale());
    }

    /** Scroll to an element of the picture unless it is well in sight. */
    reveal(element) {
      const room = this.stage.getBoundingClientRect();
      const place = element.getBoundingClientRect();
      const isIn =
        place.left >= room.left &&
        place.right <= room.right &&
        place.top >= room.top + MARGIN &&
        place.bottom <= room.bottom - MARGIN;
      if (isIn || room.width === 0) return;
      const space = (free, size) => (size > free ? MARGIN : (free - size) / 2); // large ones from their beginning
      this.stage.scrollBy({
        left: place.left - room.left - space(room.width, place.width),
        top: place.top - room.top - space(room.height, place.height),
        behavior: lens.isCalm() ? "instant" : "smooth",
      });
    }

    wheel(event) {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoom(this.scale * Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
    }

    /** Drag with the mouse; fingers scroll natively. */
    press(event) {
      this.hasDragged = false;
      if (event.button !== 0 || event.pointerType !== "mouse" || !this.svg) return;
      const from = { x: event.clientX, y: event.clientY, left: this.stage.scrollLeft, top: this.stage.scrollTop };
      const move = ({ clientX, clientY }) => {
        if (Math.hypot(clientX - from.x, clientY - from.y) > FAR) this.hasDragged = true;
        this.stage.classList.toggle("is-dragged", this.hasDragged);
        if (this.hasDragged) this.stage.scrollTo(from.left + from.x - clientX, from.top + from.y - clientY);
      };
      const stop = () => {
        this.stage.classList.remove("is-dragged");
        window.removeEventListener("pointermove", move);
      };
      window.addEventListener("pointermove", move);
      window.addEventListener("pointerup", stop, { once: true });
      window.addEventListener("pointercancel", stop, { once: true });
    }

    /** The click at the end of a drag selects nothing. */
    swallow(event) {
      if (this.hasDragged) event.stopPropagation();
      this.hasDragged = false;
    }
  }

  /** A viewer with the zoom buttons of the page. */
  lens.viewerWithButtons = (stage) => {
    const viewer = new Viewer(stage, (scale) => {
      lens.find("actual").textContent = `${Math.round(scale * 100)}%`;
    });
    for (const name of ["larger", "smaller", "actual", "fit"])
      lens.find(name).addEventListener("click", () => viewer[name]());
    return viewer;
  };

  lens.Viewer = Viewer;
}
