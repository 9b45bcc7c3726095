// The picks with their captions: a caption is edited in place and saved when a person leaves it. Everything that a
// person wrote goes in as text, never as HTML.

const parse = (caption) => caption.split(/[,\uff0c\u3001]/).map((tag) => tag.trim()).filter(Boolean);
const same = (first, second) => first.toLowerCase() === second.toLowerCase();

class Captions {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.rows = new Map();
    this.chosen = new Set();
    this.here = null;
    this.wasLocked = false;
    this.narrow = window.matchMedia("(max-width: 700px)");
    this.narrow.onchange = () => this.place();
    this.find(".add").onsubmit = (event) => {
      event.preventDefault();
      const field = this.find(".add input");
      const tags = parse(field.value);
      field.value = "";
      const before = parse(this.rows.get(this.here).text.value);
      this.save(this.here, [...before, ...tags.filter((tag) => !before.some((known) => same(known, tag)))].join(", "));
    };
    this.find(".remove").onclick = () => this.send({ remove: [this.here] });
  }

  update(data, tell) {
    this.data = data;
    this.tell = tell;
    const list = this.find(".rows");
    const ids = new Set(data.picks.map(([id]) => id));
    const detail = this.find(".detail");
    if (list.contains(detail)) list.after(detail);
    this.rows.forEach((row, id) => {
      if (ids.has(id)) return;
      row.element.remove();
      this.rows.delete(id);
    });
    let place = list.firstElementChild;
    data.picks.forEach(([id, caption]) => {
      if (!this.rows.has(id)) this.rows.set(id, this.make(id, caption));
      const row = this.rows.get(id);
      if (row.text.value === row.saved || row.saved === undefined) row.text.value = caption;
      row.saved = caption;
      row.text.disabled = data.locked;
      // A row that is in its place stays there: moving it would take the focus from its field.
      if (row.element === place) place = place.nextElementSibling;
      else list.insertBefore(row.element, place);
    });
    const known = this.find("datalist");
    known.replaceChildren(
      ...data.uses.map(([tag, count]) => {
        const option = document.createElement("option");
        option.value = tag;
        option.label = count === 1 ? "1 caption" : `${count} captions`;
        return option;
      }),
    );
    this.count = new Map(data.uses);
    this.find(".remove").disabled = data.locked;
    this.find(".add button").disabled = data.locked;
    if (data.locked !== this.wasLocked) this.say(data.locked ? "A generation is running: captions can be changed when it has ended." : "");
    this.wasLocked = data.locked;
    const first = this.narrow.matches ? null : (data.picks[0] ?? [null])[0];
    this.show(ids.has(this.here) ? this.here : first);
  }

  make(id, caption) {
    const element = document.createElement("div");
    element.className = "row";
    element.role = "listitem";
    element.dataset.id = id;
    const box = document.createElement("input");
    box.type = "checkbox";
    box.setAttribute("aria-label", `Choose ${id}`);
    box.onchange = () => {
      this.chosen[box.checked ? "add" : "delete"](id);
      this.tell("chosen", [...this.chosen]);
    };
    const thumb = document.createElement("button");
    thumb.type = "button";
    thumb.className = "thumb";
    thumb.setAttribute("aria-label", `Show ${id} large`);
    thumb.onclick = () => this.show(id);
    const picture = document.createElement("img");
    picture.loading = "lazy";
    picture.alt = "";
    picture.src = `${this.data.thumbnails}${id}.webp`;
    thumb.append(picture);
    const text = document.createElement("textarea");
    text.value = caption;
    text.rows = 2;
    text.maxLength = this.data.longest;
    text.setAttribute("aria-label", `Caption of ${id}`);
    text.onfocus = () => this.show(id);
    text.onblur = () => this.save(id, text.value);
    text.onkeydown = (event) => {
      if (event.key === "Escape") text.value = this.rows.get(id).saved;
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      text.blur();
    };
    element.append(box, thumb, text);
    return { element, text, saved: caption };
  }

  show(id) {
    this.here = id;
    const detail = this.find(".detail");
    detail.hidden = id === null;
    this.rows.forEach((row, other) => row.element.classList.toggle("is-here", other === id));
    if (id === null) return;
    const large = this.find(".large");
    const source = `${this.data.pictures}${id}.png`;
    if (!large.src.endsWith(source)) large.src = source;
    large.alt = `Pick ${id}`;
    this.place();
    this.chips();
  }

  // On a narrow screen the large picture is in the list, below its caption.
  place() {
    const detail = this.find(".detail");
    const home = this.narrow.matches && this.here ? this.rows.get(this.here).element : this.find(".rows");
    if (home.nextElementSibling !== detail) home.after(detail);
  }

  chips() {
    const tags = parse(this.rows.get(this.here).text.value);
    this.find(".chips").replaceChildren(
      ...tags.map((tag, index) => {
        const chip = document.createElement("li");
        const count = document.createElement("small");
        count.textContent = String(this.count.get(tag) ?? 1);
        count.title = "captions that have this tag";
        const cross = document.createElement("button");
        cross.type = "button";
        cross.textContent = "×";
        cross.disabled = this.data.locked;
        cross.setAttribute("aria-label", `Remove the tag ${tag}`);
        cross.onclick = () => this.save(this.here, tags.filter((_, other) => other !== index).join(", "));
        chip.append(tag, count, cross);
        return chip;
      }),
    );
  }

  save(id, caption) {
    const row = this.rows.get(id);
    row.text.value = caption;
    if (caption.trim() === row.saved) return;
    this.send({ captions: { [id]: caption } });
    if (id === this.here) this.chips();
  }

  async send(change) {
    this.say("Saving");
    try {
      const answer = await fetch(this.data.url, { method: "POST", body: JSON.stringify(change) });
      if (!answer.ok) throw new Error(await answer.text());
      const { captions, what } = await answer.json();
      Object.entries(captions).forEach(([id, caption]) => {
        const row = this.rows.get(id);
        if (!row) return;
        if (row.text.value === (change.captions ?? {})[id]) row.text.value = caption;
        row.saved = caption;
      });
      this.say(what);
      this.tell("changed", Date.now());
    } catch (error) {
      this.say(`Not saved: ${error.message}`, true);
    }
  }

  say(text, isTrouble = false) {
    const notice = this.find(".notice");
    notice.textContent = text;
    notice.classList.toggle("is-trouble", isTrouble);
  }
}

const editors = new WeakMap();

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".captions");
  if (!editors.has(root)) editors.set(root, new Captions(root));
  editors.get(root).update(data, (name, value) => (name === "changed" ? setTriggerValue : setStateValue)(name, value));
}
