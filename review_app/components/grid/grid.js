// The grid: thousands of candidates, of which only the visible ones are in the page. Everything that a person
// wrote goes in as text or as an attribute, never as HTML.

const LABEL = 26; // pixels below a picture
const BEYOND = 3; // extra rows above and below the visible ones
const MOST_IN_DECK = 200; // as deck_server.py allows
const MOST_COMPARED = 20;
const VERDICTS = ["all", "undecided", "accept", "reject"];
const GRID_KEYS = [
  ["A", "accept the selection"], ["R", "reject it"], ["1 to 9", "reject it with a reason"], ["U or Ctrl+Z", "undo"],
  ["arrows", "go to another picture; with Shift: select"], ["Space", "select or not"], ["Ctrl+A", "select all"],
  ["Esc", "select none"], ["Enter", "view it large; arrows show the next, A, R and 1 to 9 decide"],
  ["C", "compare two of the selection"], ["mouse", "drag a rectangle; Shift and Ctrl extend the selection"], ["?", "these keys"],
];

class Grid {
  constructor(root, data, tell) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.scroller = this.find(".scroller");
    this.all = [];
    this.shown = [];
    this.verdict = VERDICTS.includes(data.verdict) ? data.verdict : "all";
    this.selected = new Set();
    this.here = 0; // index of the keyboard's cell; `anchor` is where a selection with Shift begins
    this.anchor = 0;
    this.cells = new Map();
    this.trail = [];
    this.tell = tell;
    this.find(".zoom-acts").append(this.find(".of-one"));
    this.zoom = new Zoom(this.find(".zoom"), () => this.closed());
    this.scroller.onscroll = () => this.draw();
    this.scroller.onclick = (event) => event.target.closest(".cell") || this.isBand() || this.act("clear");
    this.isBand = listenToBand(this.scroller, this.find(".sizer"), (event) => this.beginBand(event), (place) => this.band(place));
    this.endings = [listenToPage(root, (event) => this.key(event)), () => this.zoom.end()];
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.scroller);
    root.querySelectorAll("[data-do]").forEach((button) => {
      button.onclick = () => this.act(button.dataset.do);
    });
    root.querySelectorAll(".verdict-filter button").forEach((button) => {
      button.onclick = () => {
        this.filter(button.dataset.verdict);
        this.tell("verdict", this.verdict);
      };
    });
    listKeys(this.find(".help"), [...GRID_KEYS, ...ZOOM_KEYS.slice(0, 3).map(([key, what]) => [key, `in the large view: ${what}`])]);
    this.rememberSize();
  }

  rememberSize() {
    const slider = this.find(".cell-size");
    const set = (size) => this.root.style.setProperty("--cell", `${size}rem`);
    const size = Number(localStorage.getItem("sid/view/size"));
    if (size >= 5 && size <= 22) set(size);
    slider.value = parseFloat(getComputedStyle(this.root).getPropertyValue("--cell"));
    slider.oninput = () => {
      const middle = this.shown[Math.floor(this.scroller.scrollTop / this.height) * this.columns];
      set(slider.value);
      remember("size", slider.value);
      this.measure();
      if (middle) this.scroller.scrollTop = Math.floor(this.shown.indexOf(middle) / this.columns) * this.height;
    };
  }

  update(data, tell) {
    this.tell = tell;
    this.thumbnails = data.thumbnails;
    this.pictures = data.pictures;
    this.original = data.original;
    this.reasons = data.reasons;
    this.root.querySelectorAll(".reasons").forEach((place) => {
      place.replaceChildren(...data.reasons.map((reason, at) => this.reasonButton(reason, at)));
    });
    if (!this.sender) {
      this.outbox = new Outbox(data.project, 0);
      this.sender = new Sender({
        url: data.deck,
        request: () => ({ browser: browserName(), acts: this.outbox.list().slice(0, 500) }),
        answered: (answer) => this.answered(answer),
        failed: (error) => this.failed(error),
      });
    }
    if (data.cells !== this.url) this.load(data.cells);
    else this.draw();
  }

  reasonButton(reason, at) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: reason });
    button.prepend(Object.assign(document.createElement("kbd"), { textContent: String(at + 1) }));
    button.setAttribute("aria-keyshortcuts", String(at + 1));
    button.onclick = () => this.act("reject", reason);
    return button;
  }

  async load(url) {
    this.url = url;
    try {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(await answer.text());
      const { cells } = await answer.json();
      if (url !== this.url) return; // another filter was chosen meanwhile
      const unsent = new Map(this.outbox.list().flatMap((act) => Object.keys(act.seen).map((id) => [id, act.do])));
      this.all = cells.map(([id, verdict, label, strength, prompt]) => ({ id, verdict, label, strength, prompt }));
      this.all.forEach((candidate) => {
        if (["accept", "reject"].includes(unsent.get(candidate.id))) candidate.verdict = unsent.get(candidate.id);
      });
      if (unsent.size) this.sender.soon(0);
      this.selected.clear();
      this.scroller.scrollTop = 0;
      this.filter(this.verdict);
      this.say("");
    } catch (error) {
      this.say(`The candidates could not be loaded: ${error.message}`);
    }
  }

  filter(verdict) {
    this.verdict = verdict;
    const here = this.shown[this.here]?.id;
    this.shown = verdict === "all" ? this.all : this.all.filter((candidate) => candidate.verdict === verdict);
    const ids = new Set(this.shown.map((candidate) => candidate.id));
    this.selected.forEach((id) => ids.has(id) || this.selected.delete(id));
    const place = this.shown.findIndex((candidate) => candidate.id === here);
    this.here = place >= 0 ? place : Math.min(this.here, Math.max(0, this.shown.length - 1));
    this.anchor = this.here;
    const counts = { all: this.all.length, undecided: 0, accept: 0, reject: 0 };
    this.all.forEach((candidate) => (counts[candidate.verdict] += 1));
    this.root.querySelectorAll(".verdict-filter button").forEach((button) => {
      button.querySelector("b").textContent = String(counts[button.dataset.verdict]);
      button.setAttribute("aria-checked", String(button.dataset.verdict === verdict));
    });
    this.find(".none").hidden = this.shown.length > 0;
    this.scroller.hidden = !this.shown.length;
    this.measure();
  }

  // ---- what is on the screen

  measure() {
    const width = this.scroller.clientWidth;
    if (!width) return this.tellSelection();
    const wanted = parseFloat(getComputedStyle(this.root).getPropertyValue("--cell")) * 16;
    this.columns = Math.max(1, Math.floor(width / wanted));
    this.width = width / this.columns;
    this.height = this.width + LABEL;
    this.find(".sizer").style.height = `${Math.ceil(this.shown.length / this.columns) * this.height}px`;
    return this.draw();
  }

  draw() {
    if (!this.width) return;
    const top = Math.floor(this.scroller.scrollTop / this.height) - BEYOND;
    const bottom = Math.ceil((this.scroller.scrollTop + this.scroller.clientHeight) / this.height) + BEYOND;
    const first = Math.max(0, top * this.columns);
    const wanted = this.shown.slice(first, bottom * this.columns);
    const ids = new Set(wanted.map((candidate) => candidate.id));
    for (const [id, cell] of this.cells) {
      if (!ids.has(id)) {
        cell.remove();
        this.cells.delete(id);
      }
    }
    wanted.forEach((candidate, at) => this.place(candidate, first + at));
    this.scroller.setAttribute("aria-activedescendant", this.shown.length ? `cell-${this.shown[this.here].id}` : "");
    this.tellSelection();
  }

  place(candidate, index) {
    let cell = this.cells.get(candidate.id);
    if (!cell) {
      cell = makeCell(candidate, this.thumbnails);
      cell.onclick = (event) => this.click(candidate.id, event);
      cell.ondblclick = () => this.open();
      this.cells.set(candidate.id, cell);
      this.find(".sizer").append(cell);
    }
    const [row, column] = [Math.floor(index / this.columns), index % this.columns];
    Object.assign(cell.style, {
      width: `${this.width}px`, height: `${this.height}px`, transform: `translate(${column * this.width}px, ${row * this.height}px)`,
    });
    const [isSelected, isHere] = [this.selected.has(candidate.id), index === this.here];
    updateCell(cell, candidate, { index, count: this.shown.length, isSelected, isHere });
  }

  tellSelection() {
    const count = this.selected.size;
    this.find(".chosen").textContent = count ? `${count} selected` : `${this.shown.length} shown`;
    const enable = (selector, isPossible) => {
      this.root.querySelectorAll(selector).forEach((button) => (button.disabled = !isPossible));
    };
    enable('.bar :is([data-do="accept"], [data-do="reject"], [data-do="clear"], .reasons button)', count);
    enable('.bar [data-do="open"]', this.shown.length);
    enable('.bar [data-do="compare"]', count >= 2);
    enable('.bar [data-do="deck"]', this.shown.length);
    enable('[data-do="undo"]', this.trail.length);
    enable('[data-do="back"]', this.here > 0);
    enable('[data-do="on"]', this.here < this.shown.length - 1);
  }

  say(text) {
    this.find(".notice").textContent = text;
    this.find(".notice").hidden = !text;
  }

  // ---- selecting

  click(id, event) {
    if (this.isBand()) return;
    const index = this.shown.findIndex((candidate) => candidate.id === id);
    this.here = index;
    if (event.shiftKey) this.range(this.anchor, index);
    else if (event.ctrlKey || event.metaKey || event.pointerType === "touch") {
      if (!this.selected.delete(id)) this.selected.add(id);
      this.anchor = index;
    } else {
      this.selected = new Set([id]);
      this.anchor = index;
    }
    this.draw();
  }

  range(from, to) {
    const [low, high] = from < to ? [from, to] : [to, from];
    this.selected = new Set(this.shown.slice(low, high + 1).map((candidate) => candidate.id));
  }

  // A rectangle begins: with Shift or Ctrl it adds to what is selected.
  beginBand(event) {
    this.kept = event.shiftKey || event.ctrlKey || event.metaKey ? new Set(this.selected) : new Set();
    this.scroller.focus({ preventScroll: true });
  }

  band({ left, top, right, bottom }) {
    this.selected = new Set(this.kept);
    const rows = [Math.floor(Math.max(0, top) / this.height), Math.floor(bottom / this.height)];
    const columns = [Math.max(0, Math.floor(left / this.width)), Math.min(this.columns - 1, Math.floor(right / this.width))];
    for (let row = rows[0]; row <= rows[1]; row++) {
      for (let column = columns[0]; column <= columns[1]; column++) {
        const candidate = this.shown[row * this.columns + column];
        if (candidate) this.selected.add(candidate.id);
      }
    }
    this.draw();
  }

  // Return whether the key is one of ours.
  key(event) {
    const large = this.zoom.isOpen;
    const key = keyOf(event);
    const control = event.ctrlKey || event.metaKey;
    const page = this.columns * Math.max(1, Math.floor(this.scroller.clientHeight / this.height));
    const steps = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: large ? -1 : -this.columns, ArrowDown: large ? 1 : this.columns,
      PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity,
    };
    if (event.altKey || (large && this.zoom.key(event))) return !event.altKey;
    if (key === "?") this.act("help");
    else if ((control && key === "z" && !event.shiftKey) || (!control && key === "u")) this.act("undo");
    else if (!this.shown.length) return false;
    else if (key in steps) this.move(steps[key], event.shiftKey, large);
    else if (control && key === "a") this.range(...(large ? [this.here, this.here] : [0, this.shown.length - 1]));
    else if (control) return false;
    else if (key === " ") this.toggle();
    else if (key === "Enter") this.act("open");
    else if (key === "c") this.act("compare");
    else if (key === "a" || key === "r") this.act(key === "a" ? "accept" : "reject");
    else if (/^[1-9]$/.test(key)) this.reasons[key - 1] && this.act("reject", this.reasons[key - 1]);
    else if (key === "Escape") this.act("clear");
    else return false;
    this.draw();
    return true;
  }

  move(step, extends_, selects) {
    this.here = Math.min(this.shown.length - 1, Math.max(0, this.here + step));
    if (extends_ && !selects) this.range(this.anchor, this.here);
    else this.anchor = this.here;
    if (selects) {
      this.selected = new Set([this.shown[this.here].id]);
      this.show();
    }
    const row = Math.floor(this.here / this.columns) * this.height;
    const { scrollTop, clientHeight } = this.scroller;
    if (row < scrollTop) this.scroller.scrollTop = row;
    if (row + this.height > scrollTop + clientHeight) this.scroller.scrollTop = row + this.height - clientHeight;
  }

  toggle() {
    const { id } = this.shown[this.here];
    if (!this.selected.delete(id)) this.selected.add(id);
    this.anchor = this.here;
  }

  // ---- acting

  act(what, reason = "") {
    if (what === "clear") this.selected.clear();
    else if (what === "help") toggleDialog(this.find(".help"));
    else if (what === "undo") this.undo();
    else if (what === "open") this.open();
    else if (what === "compare") this.compare();
    else if (what === "deck") this.review();
    else if (what === "back" || what === "on") this.move(what === "on" ? 1 : -1, false, true);
    else this.decide(what, reason);
    this.draw();
  }

  // Show the selection in the deck before all others that the filter lets through. By itself the deck shows undecided
  // ones only, so without a selection accepted or rejected ones are named, too.
  review() {
    const isDecided = this.verdict === "accept" || this.verdict === "reject";
    const isMeant = (candidate) => (this.selected.size ? this.selected.has(candidate.id) : isDecided);
    const chosen = this.shown.filter(isMeant).slice(0, MOST_IN_DECK);
    this.zoom.close();
    this.tell("open", chosen.map((candidate) => candidate.id));
  }

  open() {
    if (!this.selected.has(this.shown[this.here].id)) this.selected = new Set([this.shown[this.here].id]);
    this.zoom.open(this.choices(), false);
    this.show();
  }

  // Show the first two of the selection side by side; the menus offer the others.
  compare() {
    const chosen = this.shown.filter((candidate) => this.selected.has(candidate.id));
    if (chosen.length < 2) return;
    if (!this.selected.has(this.shown[this.here].id)) this.here = this.shown.indexOf(chosen[0]);
    this.zoom.open(this.choices(), true);
    this.show();
  }

  // Return the pictures that the large view can show: this one, others of the selection, its neighbours, the original.
  choices() {
    const here = this.shown[this.here];
    const named = (candidate) => `${candidate.label}, ${candidate.strength} (${candidate.id.slice(0, 6)})`;
    const picture = (id, name, candidate) => candidate && { id, name, src: `${this.pictures}${candidate.id}.png` };
    const others = this.shown.filter((candidate) => candidate !== here && this.selected.has(candidate.id));
    return [
      picture("candidate", `This one: ${here.label}`, here),
      ...others.slice(0, MOST_COMPARED).map((candidate) => picture(candidate.id, named(candidate), candidate)),
      { id: "original", name: "Original", src: this.original },
      picture("before", "The one before", this.shown[this.here - 1]),
      picture("next", "The next one", this.shown[this.here + 1]),
    ].filter(Boolean);
  }

  show() {
    const candidate = this.shown[this.here];
    this.zoom.offer(this.choices());
    this.find(".of-one").dataset.verdict = candidate.verdict;
    const standing = Object.assign(document.createElement("b"), { textContent: `${MARKS[candidate.verdict]} ${SPOKEN[candidate.verdict]}` });
    this.find(".words").replaceChildren(standing, ` ${candidate.prompt} · ${candidate.label}, strength ${candidate.strength}`);
  }

  // The large view was closed: what was decided in it may no longer match.
  closed() {
    this.filter(this.verdict);
    this.scroller.focus();
  }

  decide(verdict, reason) {
    const isMeant = this.zoom.isOpen
      ? (candidate) => candidate === this.shown[this.here]
      : (candidate) => this.selected.has(candidate.id);
    const changed = this.all.filter((candidate) => isMeant(candidate) && (candidate.verdict !== verdict || reason));
    if (!changed.length) return;
    const act = { id: newId(), do: verdict, seen: {}, reason, of: "" };
    changed.forEach((candidate) => (act.seen[candidate.id] = candidate.verdict));
    this.trail.push({ id: act.id, do: verdict, seen: { ...act.seen } });
    changed.forEach((candidate) => (candidate.verdict = verdict));
    this.send(act);
  }

  undo() {
    const last = this.trail.pop();
    if (!last) return;
    const given = {};
    const known = new Map(this.all.map((candidate) => [candidate.id, candidate]));
    for (const [id, before] of Object.entries(last.seen)) {
      given[id] = last.do;
      if (known.has(id)) known.get(id).verdict = before;
    }
    this.send({ id: newId(), do: "undo", seen: given, reason: "", of: last.id });
  }

  send(act) {
    this.outbox.add(act);
    this.sender.soon();
    if (!this.zoom.isOpen) this.filter(this.verdict); // while a picture is enlarged, the grid does not change
    else this.show();
  }

  answered(answer) {
    this.outbox.confirm(answer.done);
    this.say("");
    if (answer.refused.length) {
      const [first] = answer.refused;
      const more = answer.refused.length > 1 ? ` (and ${answer.refused.length - 1} more)` : "";
      this.load(this.url).then(() => this.say(`Verdict refused: ${first.candidate.slice(0, 6)} was ${first.why}${more}`));
    }
    const unsent = this.outbox.list().length;
    this.root.dataset.unsent = String(unsent);
    if (unsent) this.sender.soon(0);
  }

  failed(error) {
    const unsent = this.outbox.list().length;
    this.say(`The server does not answer (${error.message}). Unsent changes (${unsent}) are kept here and sent as soon as it does.`);
  }

  close() {
    this.observer.disconnect();
    this.sender?.close();
    this.endings.forEach((end) => end());
  }
}

const grids = new WeakMap();

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".grid");
  const tell = (what, value) => (what === "verdict" ? setStateValue(what, value) : setTriggerValue(what, value));
  if (!grids.has(root)) grids.set(root, new Grid(root, data, tell));
  grids.get(root).update(data, tell);
  return () => {
    grids.get(root)?.close();
    grids.delete(root);
  };
}
