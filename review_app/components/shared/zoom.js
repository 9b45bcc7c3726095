// One picture, or two side by side, over the whole window: wheel, drag, pinch, keys and buttons enlarge and move both
// together. Deck and grid share it; what their own buttons do is theirs.

const STEP = 1.25; // of the buttons and keys
const MOST = 12; // times the size that fills the window, or 8 screen pixels a picture pixel if that is more
const TAP = { pixels: 8, milliseconds: 400 };
const TWICE = { mouse: 450, touch: 280, pen: 280 }; // milliseconds between two clicks or taps
const ZOOM_KEYS = [
  ["+ and −", "enlarge and shrink; the wheel does too"], ["0", "100 %, and back to the whole picture"],
  ["Shift and arrows", "move; so does dragging"], ["C", "two pictures or one"], ["Space", "exchange the two"],
];

class Zoom {
  // `closed` is called when it was left.
  constructor(dialog, closed) {
    this.dialog = dialog;
    this.find = (selector) => dialog.querySelector(selector);
    this.stage = this.find(".panes");
    this.panes = [...dialog.querySelectorAll(".pane")];
    this.selects = [...dialog.querySelectorAll(".which")];
    this.pictures = [];
    this.shown = ["", ""]; // ids; an empty one: there is only one picture
    this.last = ""; // what was beside it when there last were two
    this.scale = 1; // 1: the left picture fills its pane
    this.at = [0.5, 0.5]; // the place in the middle of each pane, as shares of the picture's width and height
    this.pointers = new Map();
    this.wide = true;
    dialog.addEventListener("close", closed);
    this.selects.forEach((select, side) => {
      select.onchange = () => {
        this.put(side, select.value);
        select.blur();
      };
    });
    dialog.querySelectorAll("[data-zoom]").forEach((button) => {
      button.onclick = () => this.act(button.dataset.zoom);
    });
    this.panes.forEach((pane) => {
      pane.querySelector("img").onload = () => this.draw();
    });
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.stage.onpointerdown = (event) => this.down(event);
    this.stage.onpointermove = (event) => this.move(event);
    this.stage.onpointerup = (event) => this.up(event);
    this.stage.onpointercancel = (event) => this.pointers.delete(event.pointerId);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.stage);
  }

  get isOpen() {
    return this.dialog.open;
  }

  // Show the first of these pictures, [{id, name, src}], and the second one beside it if it was left like that.
  open(pictures, isPair = remembered("pair", "one", ["one", "two"]) === "two") {
    this.whole();
    this.last = pictures[1]?.id ?? "";
    this.shown = [pictures[0].id, isPair ? this.last : ""];
    this.offer(pictures);
    if (!this.isOpen) this.dialog.showModal();
    this.dialog.focus();
    this.draw();
  }

  // Replace the pictures, and show those with the same ids at the same place, if there are any.
  offer(pictures) {
    this.pictures = pictures;
    const ids = pictures.map((picture) => picture.id);
    const other = () => ids.find((id) => id !== this.shown[0]) ?? "";
    if (!ids.includes(this.shown[0])) this.shown[0] = ids[0];
    if (this.shown[1] && !ids.includes(this.shown[1])) this.shown[1] = other();
    if (!ids.includes(this.last)) this.last = other();
    this.selects.forEach((select, side) => {
      const options = pictures.map((picture) => new Option(picture.name, picture.id));
      if (side) options.unshift(new Option("nothing beside it", ""));
      select.replaceChildren(...options);
    });
    this.refresh();
  }

  close() {
    if (this.isOpen) this.dialog.close();
  }

  put(side, id) {
    this.shown[side] = id;
    if (side && id) this.last = id;
    this.refresh();
  }

  refresh() {
    this.panes.forEach((pane, side) => {
      const picture = this.pictures.find((known) => known.id === this.shown[side]);
      const image = pane.querySelector("img");
      pane.hidden = !picture;
      this.selects[side].value = picture ? picture.id : "";
      if (!picture) return;
      if (image.getAttribute("src") !== picture.src) image.src = picture.src;
      image.alt = picture.name;
      pane.querySelector(".name").textContent = picture.name;
    });
    this.dialog.classList.toggle("is-pair", Boolean(this.shown[1]));
    this.find('[data-zoom="pair"]').setAttribute("aria-pressed", String(Boolean(this.shown[1])));
    this.draw();
  }

  // ---- what can be done

  act(what) {
    if (what === "close") this.close();
    else if (what === "in") this.enlarge(STEP);
    else if (what === "out") this.enlarge(1 / STEP);
    else if (what === "full") this.toggleFull();
    else if (what === "pair") {
      this.put(1, this.shown[1] ? "" : this.last);
      remember("pair", this.shown[1] ? "two" : "one");
    } else this.exchange();
  }

  // Return whether the key is one of these pictures' own.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const acts = { "+": "in", "=": "in", "-": "out", 0: "full", c: "pair", " ": "exchange", z: "close", Escape: "close" };
    const key = keyOf(event);
    if (event.shiftKey && key in steps) {
      const size = this.sizes()[0];
      this.shift(...steps[key].map((step, axis) => (0.15 * step * [size.pane.width, size.pane.height][axis])));
      return true;
    }
    if (!Object.hasOwn(acts, key)) return false;
    if (!event.repeat || ["in", "out"].includes(acts[key])) this.act(acts[key]);
    return true;
  }

  exchange() {
    if (this.shown[1]) this.shown.reverse();
    else if (this.last) [this.shown[0], this.last] = [this.last, this.shown[0]];
    this.refresh();
  }

  whole() {
    this.scale = 1;
    this.at = [0.5, 0.5];
  }

  // Between the whole picture and one screen pixel for each of its pixels.
  toggleFull(x, y) {
    const full = this.full();
    if (Math.abs(this.scale - full) < 0.001) {
      this.whole();
      this.draw();
    } else this.enlarge(full / this.scale, x, y);
  }

  // Enlarge by a factor; the point at x, y in the window stays where it is.
  enlarge(by, x, y) {
    const least = Math.min(1, this.full());
    const scale = Math.min(Math.max(MOST, 8 * this.full()), Math.max(least, this.scale * by));
    const size = this.sizes().find(({ pane }) => x >= pane.left && x < pane.right && y >= pane.top && y < pane.bottom);
    if (size) {
      const { pane, width, height } = size;
      const off = [x - (pane.left + pane.right) / 2, y - (pane.top + pane.bottom) / 2];
      this.at = this.at.map((share, axis) => {
        const side = [width, height][axis];
        return share + off[axis] / (side * this.scale) - off[axis] / (side * scale);
      });
    }
    this.scale = scale;
    this.draw();
  }

  // Move what is seen by pixels of the window.
  shift(right, down) {
    const { width, height } = this.sizes()[0];
    this.at = [this.at[0] + right / (width * this.scale), this.at[1] + down / (height * this.scale)];
    this.draw();
  }

  // ---- wheel, mouse and fingers

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode ? 30 : 1;
    this.enlarge(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), event.clientX, event.clientY);
  }

  down(event) {
    if (event.button) return;
    this.stage.setPointerCapture(event.pointerId);
    if (!this.pointers.size) this.began = { x: event.clientX, y: event.clientY, when: performance.now(), moved: false };
    else this.began.moved = true; // a second finger: no tap
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const here = [event.clientX, event.clientY];
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (Math.hypot(here[0] - this.began.x, here[1] - this.began.y) > TAP.pixels) this.began.moved = true;
    if (!this.began.moved) return;
    this.pointers.set(event.pointerId, here);
    if (other) {
      const apart = ([x, y]) => Math.max(1, Math.hypot(x - other[0], y - other[1]));
      const middle = here.map((place, axis) => (place + other[axis]) / 2);
      this.enlarge(apart(here) / apart(before), ...middle);
      this.shift((before[0] - here[0]) / 2, (before[1] - here[1]) / 2);
    } else this.shift(before[0] - here[0], before[1] - here[1]);
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId) || this.pointers.size) return;
    const isTap = !this.began.moved && performance.now() - this.began.when < TAP.milliseconds;
    if (!isTap) return;
    if (this.tapped) { // a second tap
      clearTimeout(this.tapped);
      this.tapped = null;
      this.toggleFull(event.clientX, event.clientY);
    } else {
      this.tapped = setTimeout(() => {
        this.tapped = null;
        if (event.pointerType !== "mouse") this.close();
      }, TWICE[event.pointerType] ?? TWICE.touch);
    }
  }

  // ---- what is on the screen

  // Return each shown pane's place and the size of its picture when it fills the pane, in pixels of the window.
  sizes() {
    return this.panes.filter((pane) => !pane.hidden).map((pane) => {
      const place = pane.getBoundingClientRect();
      const image = pane.querySelector("img");
      const [wide, high] = [image.naturalWidth || 1, image.naturalHeight || 1];
      const fit = Math.min(place.width / wide, place.height / high) || 1;
      return { pane: place, image, width: wide * fit, height: high * fit, fit };
    });
  }

  // Return the scale at which a pixel of the left picture is a pixel of the screen.
  full() {
    return 1 / (this.sizes()[0].fit * devicePixelRatio);
  }

  draw() {
    if (!this.isOpen || !this.sizes().length) return;
    const sizes = this.sizes();
    const [{ pane, width, height }] = sizes;
    this.at = this.at.map((share, axis) => {
      const seen = [pane.width / width, pane.height / height][axis] / this.scale / 2; // half of what is seen of it
      return seen >= 0.5 ? 0.5 : Math.min(1 - seen, Math.max(seen, share));
    });
    for (const size of sizes) {
      const [wide, high] = [size.width * this.scale, size.height * this.scale];
      const [x, y] = [size.pane.width / 2 - this.at[0] * wide, size.pane.height / 2 - this.at[1] * high];
      Object.assign(size.image.style, { width: `${wide}px`, height: `${high}px`, transform: `translate(${x}px, ${y}px)` });
      size.image.classList.toggle("is-grainy", size.fit * this.scale * devicePixelRatio >= 3);
    }
    const percent = Math.round((100 * this.scale) / this.full());
    this.find(".percent").textContent = `${percent} %`;
    this.find('[data-zoom="full"]').setAttribute("aria-pressed", String(percent === 100));
    this.stage.classList.toggle("is-movable", this.scale > 1);
  }

  end() {
    this.observer.disconnect();
    clearTimeout(this.tapped);
  }
}
