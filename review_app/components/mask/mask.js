// Painting a mask over a picture: the painted part will be redrawn. The mask has the canvas' size in pixels. Strokes
// are kept as points, so that undo and redo need no copies of the picture.

const STEP = 1.4; // of the buttons and keys that enlarge
const MOST = 16; // times the whole picture

class Painter {
  constructor(root, data, tell) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.paper = this.find(".paper");
    this.sheet = this.find(".sheet");
    this.canvas = this.find("canvas");
    this.canvas.width = data.width;
    this.canvas.height = data.height;
    this.pen = this.canvas.getContext("2d");
    this.tell = tell;
    this.strokes = [];
    this.undone = [];
    this.stroke = null; // the one that is being painted
    this.tool = "brush";
    this.scale = 1; // 1: the whole picture
    this.at = [0, 0]; // the picture's left upper corner in pixels of the paper
    this.pointers = new Map();
    root.style.setProperty("--ratio", String(data.width / data.height));
    const image = this.find("img");
    image.alt = data.name;
    image.src = data.src;
    image.style.aspectRatio = `${data.width} / ${data.height}`;
    Object.assign(this.paper, {
      onpointerdown: (event) => this.down(event), onpointermove: (event) => this.move(event),
      onpointerup: (event) => this.up(event), onpointercancel: (event) => this.up(event),
      onpointerleave: () => (this.find(".ring").hidden = true),
    });
    this.paper.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    root.querySelectorAll("[data-do]").forEach((button) => (button.onclick = () => this.act(button.dataset.do)));
    root.querySelectorAll("button[data-tool]").forEach((button) => (button.onclick = () => this.take(button.dataset.tool)));
    this.find(".size").onpointerup = () => this.paper.focus();
    this.heard = (event) => this.key(event);
    window.addEventListener("keydown", this.heard, { capture: true });
    window.addEventListener("keyup", this.heard, { capture: true });
    this.take("brush");
    this.draw();
    this.place();
  }

  end() {
    window.removeEventListener("keydown", this.heard, { capture: true });
    window.removeEventListener("keyup", this.heard, { capture: true });
  }

  // ---- what can be done

  act(what) {
    const { width, height } = this.paper.getBoundingClientRect();
    if (what === "undo" && this.strokes.length) this.undone.push(this.strokes.pop());
    else if (what === "redo" && this.undone.length) this.strokes.push(this.undone.pop());
    else if (what === "clear" && this.isPainted) this.add({ clears: true });
    else {
      if (what === "in") this.enlarge(STEP, width / 2, height / 2);
      if (what === "out") this.enlarge(1 / STEP, width / 2, height / 2);
      if (what === "fit") this.enlarge(0, 0, 0);
      return;
    }
    this.draw();
    this.send();
  }

  get isPainted() {
    return this.strokes.length > 0 && !this.strokes.at(-1).clears;
  }

  add(stroke) {
    this.strokes.push(stroke);
    this.undone = [];
  }

  take(tool) {
    this.tool = tool;
    this.paper.dataset.tool = tool;
    this.root.querySelectorAll("button[data-tool]").forEach((button) => {
      button.setAttribute("aria-checked", String(button.dataset.tool === tool));
    });
  }

  key(event) {
    const target = event.composedPath()[0];
    if (!this.root.isConnected || !this.root.offsetParent) return; // another tab of the dialog is shown
    if (target instanceof Element && target.matches("textarea, select, [contenteditable=true], input:not([type=range])")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const control = event.ctrlKey || event.metaKey;
    if (key === " ") {
      if (target.closest("button")) return;
      this.paper.classList.toggle("is-moving", event.type === "keydown");
    } else if (event.type === "keyup" || event.altKey) return;
    else if (control && key === "z") this.act(event.shiftKey ? "redo" : "undo");
    else if (control && key === "y") this.act("redo");
    else if (control) return;
    else if (key === "b" || key === "e" || key === "m") this.take({ b: "brush", e: "rub", m: "move" }[key]);
    else if (key === "+" || key === "=") this.act("in");
    else if (key === "-") this.act("out");
    else if (key === "0") this.act("fit");
    else if (key === "[" || key === "]") this.find(".size").value = Number(this.find(".size").value) + (key === "[" ? -2 : 2);
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  // ---- mouse and fingers

  wheel(event) {
    event.preventDefault();
    const { left, top } = this.paper.getBoundingClientRect();
    const lines = event.deltaMode ? 30 : 1;
    this.enlarge(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), event.clientX - left, event.clientY - top);
    this.ring(event);
  }

  down(event) {
    this.paper.focus({ preventScroll: true });
    this.paper.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size > 1) {
      this.stroke = null; // two fingers move and enlarge; what the first one painted is taken back
      this.draw();
      return;
    }
    const moves = event.button > 0 || this.tool === "move" || this.paper.classList.contains("is-moving");
    if (moves) return;
    const least = Math.min(this.canvas.width, this.canvas.height);
    const width = ((this.find(".size").value / 100) * least) / this.scale; // as large on the screen at any zoom
    this.stroke = { rubs: this.tool === "rub", width, points: [this.onCanvas(event)] };
    this.paint(this.stroke, 0);
  }

  move(event) {
    this.ring(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const here = [event.clientX, event.clientY];
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, here);
    if (this.stroke) {
      this.stroke.points.push(this.onCanvas(event));
      this.paint(this.stroke, this.stroke.points.length - 2);
      return;
    }
    const share = other ? 2 : 1;
    if (other) {
      const { left, top } = this.paper.getBoundingClientRect();
      const apart = ([x, y]) => Math.max(1, Math.hypot(x - other[0], y - other[1]));
      this.enlarge(apart(here) / apart(before), (here[0] + other[0]) / 2 - left, (here[1] + other[1]) / 2 - top);
    }
    this.at = this.at.map((place, axis) => place + (here[axis] - before[axis]) / share);
    this.place();
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId) || !this.stroke) return;
    this.add(this.stroke);
    this.stroke = null;
    this.buttons();
    this.send();
  }

  onCanvas(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [((event.clientX - left) / width) * this.canvas.width, ((event.clientY - top) / height) * this.canvas.height];
  }

  // ---- what is on the screen

  enlarge(by, x, y) {
    const scale = Math.min(MOST, Math.max(1, this.scale * by));
    this.at = [x, y].map((place, axis) => place - ((place - this.at[axis]) * scale) / this.scale);
    this.scale = scale;
    this.place();
  }

  place() {
    const { width, height } = this.paper.getBoundingClientRect();
    this.at = this.at.map((place, axis) => Math.min(0, Math.max([width, height][axis] * (1 - this.scale), place)));
    this.sheet.style.transform = `translate(${this.at[0]}px, ${this.at[1]}px) scale(${this.scale})`;
    this.sheet.classList.toggle("is-grainy", (width * this.scale) / this.canvas.width >= 3);
    this.find(".percent").textContent = `${Math.round(100 * this.scale)} %`;
  }

  ring(event) {
    const ring = this.find(".ring");
    const { left, top, width } = this.paper.getBoundingClientRect();
    const least = Math.min(1, this.canvas.height / this.canvas.width);
    const size = (this.find(".size").value / 100) * width * least;
    ring.hidden = event.pointerType === "touch";
    Object.assign(ring.style, { left: `${event.clientX - left}px`, top: `${event.clientY - top}px`, width: `${size}px`, height: `${size}px` });
  }

  draw() {
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const from = this.strokes.findLastIndex((stroke) => stroke.clears) + 1;
    this.strokes.slice(from).forEach((stroke) => stroke.points.forEach((_, at) => at + 1 < Math.max(2, stroke.points.length) && this.paint(stroke, at)));
    this.buttons();
  }

  buttons() {
    this.find('[data-do="undo"]').disabled = !this.strokes.length;
    this.find('[data-do="redo"]').disabled = !this.undone.length;
    this.find('[data-do="clear"]').disabled = !this.isPainted;
  }

  // Paint a stroke's line from the point `at` to the next, or a dot if there is none.
  paint(stroke, at) {
    const { pen } = this;
    pen.globalCompositeOperation = stroke.rubs ? "destination-out" : "source-over";
    pen.strokeStyle = "#e0218a"; // visible on light and dark pictures; sent as white
    pen.lineCap = "round";
    pen.lineJoin = "round";
    pen.lineWidth = stroke.width;
    pen.beginPath();
    pen.moveTo(...stroke.points[at]);
    pen.lineTo(...(stroke.points[at + 1] ?? stroke.points[at]));
    pen.stroke();
  }

  // Report the mask as a data URL of a PNG, white on black.
  send() {
    const whole = document.createElement("canvas");
    [whole.width, whole.height] = [this.canvas.width, this.canvas.height];
    const pen = whole.getContext("2d");
    pen.drawImage(this.canvas, 0, 0);
    pen.globalCompositeOperation = "source-in";
    pen.fillStyle = "#ffffff";
    pen.fillRect(0, 0, whole.width, whole.height);
    pen.globalCompositeOperation = "destination-over";
    pen.fillStyle = "#000000";
    pen.fillRect(0, 0, whole.width, whole.height);
    this.tell(whole.toDataURL("image/png"));
  }
}

const painters = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".mask");
  if (!painters.has(root)) painters.set(root, new Painter(root, data, (url) => setStateValue("mask", url)));
  return () => {
    painters.get(root)?.end();
    painters.delete(root);
  };
}
