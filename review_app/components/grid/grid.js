// The grid: thousands of candidates, of which only the visible ones are in the page. Everything that a person
// wrote goes in as text or as an attribute, never as HTML.

const MARKS = { accept: "✓", reject: "✕", undecided: "" };
const SPOKEN = { accept: "accepted", reject: "rejected", undecided: "undecided" };
const LABEL = 26; // pixels below a picture
const BEYOND = 3; // extra rows above and below the visible ones

class Grid {
  constructor(root, tell) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.scroller = this.find(".scroller");
    this.all = [];
    this.shown = [];
    this.verdict = "all";
    this.selected = new Set();
    this.here = 0; // index of the keyboard's cell; `anchor` is where a selection with Shift begins
    this.anchor = 0;
    this.cells = new Map();
    this.trail = [];
    this.tell = tell;
    this.scroller.onscroll = () => this.draw();
    this.scroller.onkeydown = (event) => this.key(event);
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.scroller);
    root.querySelectorAll(".bar [data-do]").forEach((button) => {
      button.onclick = () => this.act(button.dataset.do);
    });
    root.querySelectorAll(".verdict-filter button").forEach((button) => {
      button.onclick = () => this.filter(button.dataset.verdict);
    });
    const large = this.find(".large");
    large.onkeydown = (event) => this.key(event);
    large.querySelector('[data-do="shut"]').onclick = () => large.close();
    large.querySelector('[data-do="deck"]').onclick = () => {
      large.close();
      this.tell(this.shown[this.here].id);
    };
  }

  update(data, tell) {
    this.tell = tell;
    this.thumbnails = data.thumbnails;
    this.pictures = data.pictures;
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
    if (!width) return;
    const wanted = parseFloat(getComputedStyle(this.root).getPropertyValue("--cell")) * 16;
    this.columns = Math.max(1, Math.floor(width / wanted));
    this.width = width / this.columns;
    this.height = this.width + LABEL;
    this.find(".sizer").style.height = `${Math.ceil(this.shown.length / this.columns) * this.height}px`;
    this.draw();
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
    const count = this.selected.size;
    this.find(".chosen").textContent = count ? `${count} selected` : `${this.shown.length} shown`;
    for (const what of ["accept", "reject", "clear"]) this.find(`.bar [data-do="${what}"]`).disabled = !count;
    this.find('.bar [data-do="open"]').disabled = !this.shown.length;
    this.find('.bar [data-do="undo"]').disabled = !this.trail.length;
  }

  place(candidate, index) {
    let cell = this.cells.get(candidate.id);
    if (!cell) {
      cell = this.make(candidate);
      this.cells.set(candidate.id, cell);
      this.find(".sizer").append(cell);
    }
    const [row, column] = [Math.floor(index / this.columns), index % this.columns];
    Object.assign(cell.style, {
      width: `${this.width}px`, height: `${this.height}px`, transform: `translate(${column * this.width}px, ${row * this.height}px)`,
    });
    cell.dataset.verdict = candidate.verdict;
    cell.classList.toggle("is-selected", this.selected.has(candidate.id));
    cell.classList.toggle("is-here", index === this.here);
    cell.setAttribute("aria-selected", String(this.selected.has(candidate.id)));
    cell.setAttribute("aria-label", `${candidate.prompt} (${SPOKEN[candidate.verdict]})`);
    cell.setAttribute("aria-setsize", String(this.shown.length));
    cell.setAttribute("aria-posinset", String(index + 1));
    cell.querySelector(".mark").textContent = MARKS[candidate.verdict];
  }

  make(candidate) {
    const node = (name, className) => Object.assign(document.createElement(name), { className });
    const cell = node("div", "cell");
    cell.setAttribute("role", "option");
    cell.id = `cell-${candidate.id}`;
    cell.dataset.id = candidate.id;
    cell.title = `${candidate.label}, strength ${candidate.strength}\n${candidate.prompt}`;
    const picture = Object.assign(node("img", ""), { alt: "", decoding: "async", draggable: false });
    picture.src = `${this.thumbnails}${candidate.id}.webp`;
    const label = node("div", "label");
    label.append(
      Object.assign(node("span", "how"), { textContent: candidate.label }),
      Object.assign(node("span", "at"), { textContent: candidate.strength }),
      node("span", "mark"),
    );
    cell.append(picture, label);
    cell.onclick = (event) => this.click(candidate.id, event);
    cell.ondblclick = () => this.open();
    return cell;
  }

  say(text) {
    this.find(".notice").textContent = text;
    this.find(".notice").hidden = !text;
  }

  // ---- selecting

  click(id, event) {
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

  key(event) {
    const large = this.find(".large").open;
    const page = this.columns * Math.max(1, Math.floor(this.scroller.clientHeight / this.height));
    const steps = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: large ? -1 : -this.columns, ArrowDown: large ? 1 : this.columns,
      PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity,
    };
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const control = event.ctrlKey || event.metaKey;
    if (event.altKey || !this.shown.length) return;
    if (key in steps) this.move(steps[key], event.shiftKey && !large, large);
    else if (control && key === "a" && !large) this.range(0, this.shown.length - 1);
    else if ((control && key === "z") || (!control && key === "u")) this.act("undo");
    else if (control) return;
    else if (key === " " && !large) this.toggle();
    else if (key === "Enter" && !event.target.closest("button")) this.act("open");
    else if (key === "a" || key === "r") this.act(key === "a" ? "accept" : "reject");
    else if (key === "Escape" && !large) this.act("clear");
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.draw();
  }

  move(step, extends_, selects) {
    this.here = Math.min(this.shown.length - 1, Math.max(0, this.here + step));
    if (extends_) this.range(this.anchor, this.here);
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

  act(what) {
    if (what === "clear") this.selected.clear();
    else if (what === "undo") this.undo();
    else if (what === "open") this.open();
    else this.decide(what);
    this.draw();
  }

  open() {
    if (!this.selected.has(this.shown[this.here].id)) this.selected = new Set([this.shown[this.here].id]);
    this.show();
    this.find(".large").showModal();
  }

  show() {
    const candidate = this.shown[this.here];
    const large = this.find(".large");
    large.dataset.verdict = candidate.verdict;
    large.querySelector("img").src = `${this.pictures}${candidate.id}.png`;
    large.querySelector("img").alt = `Candidate: ${candidate.prompt}`;
    const verdict = candidate.verdict === "undecided" ? "" : ` · ${SPOKEN[candidate.verdict]}`;
    large.querySelector(".words").textContent = `${candidate.prompt} · ${candidate.label}, strength ${candidate.strength}${verdict}`;
  }

  decide(verdict) {
    const changed = this.all.filter((candidate) => this.selected.has(candidate.id) && candidate.verdict !== verdict);
    if (!changed.length) return;
    const act = { id: newId(), do: verdict, seen: {}, reason: "", of: "" };
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
    const large = this.find(".large").open;
    if (!large) this.filter(this.verdict); // while a picture is enlarged, the grid does not change
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
  }
}

const grids = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".grid");
  const tell = (id) => setTriggerValue("open", id);
  if (!grids.has(root)) grids.set(root, new Grid(root, tell));
  grids.get(root).update(data, tell);
  return () => {
    grids.get(root)?.close();
    grids.delete(root);
  };
}
