// Shows a card on the page. Everything that a person wrote goes in as text or as an attribute, never as HTML.

const VERDICT_WORDS = { accept: "accepted", reject: "rejected", undecided: "" };

function element(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

class View {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.comparing = remembered("compare", "side", ["side", "blink", "slide", "alone"]);
    this.reference = remembered("with", "source", ["source", "original", "nearest"]);
    this.blinked = false;
    this.card = null;
    const about = this.find(".about");
    about.open = remembered("about", "open", ["open", "closed"]) === "open";
    about.ontoggle = () => remember("about", about.open ? "open" : "closed");
    this.find(".way").value = this.comparing;
    this.find(".way").onchange = ({ target }) => this.choose("comparing", "compare", target);
    this.find(".whom").onchange = ({ target }) => this.choose("reference", "with", target);
    this.find(".slide").oninput = () => this.slide();
  }

  choose(field, name, select) {
    this[field] = select.value;
    remember(name, select.value);
    select.blur(); // otherwise the next key would change the selection instead of deciding
    this.blinked = false;
    this.compare();
  }

  original(url) {
    this.originalUrl = url;
  }

  // `only` is what the candidates have in common if these are not all of the generation.
  heading(project, part, only) {
    this.find("h1").textContent = project;
    this.find(".part").textContent = part;
    this.message(".only", only.length ? `only ${only.join(", ")} ✕` : "");
    this.find(".only").title = "Show all of the generation";
  }

  show(card, picture) {
    this.card = card;
    this.blinked = false;
    const { root } = this;
    root.dataset.candidate = card ? card.id : "";
    root.classList.toggle("is-empty", !card);
    if (!card) {
      this.find(".slot").replaceChildren();
      return;
    }
    picture.alt = `Candidate: ${card.prompt}`;
    root.style.setProperty("--ratio", `${card.width} / ${card.height}`);
    this.find(".slot").replaceChildren(picture);
    this.find(".title").textContent = card.label;
    this.find(".title").title = card.label;
    this.find(".drawn").textContent = `strength ${card.strength}`;
    this.find(".standing").textContent = standing(card);
    root.dataset.verdict = card.verdict;
    this.compare();
    this.describe(card);
  }

  // Show the reference beside the candidate, over it, or not at all.
  compare() {
    const { card, comparing, root } = this;
    if (!card) return;
    const { url, title, whom } = this.compared(card);
    this.find(".whom").value = whom;
    this.find('.whom [value="source"]').hidden = !card.source;
    root.dataset.compare = comparing;
    this.find(".reference figcaption").textContent = title;
    for (const picture of [this.find(".reference .picture"), this.find(".over")]) {
      if (picture.getAttribute("src") !== url) picture.src = url;
      picture.alt = title;
    }
    const sliding = comparing === "slide";
    this.find(".slide").hidden = !sliding;
    this.find(".over").hidden = !sliding && !this.blinked;
    this.find(".over").style.clipPath = "";
    if (sliding && !this.blinked) this.slide();
    root.classList.toggle("is-blinked", this.blinked);
  }

  // Return the picture that the candidate is compared with, its title and its name in the menu.
  compared(card) {
    const { reference, originalUrl } = this;
    if (reference === "nearest" && card.nearest) return { url: card.nearest, title: "Nearest in the dataset", whom: reference };
    if (reference === "nearest") return { url: originalUrl, title: "Original, the nearest in the dataset", whom: reference };
    if (reference === "source" && card.source) return { url: card.source, title: "What it was mended from", whom: reference };
    return { url: originalUrl, title: "Original", whom: "original" };
  }

  // Return all pictures that the zoom can show, the candidate first, then the one that it is compared with here.
  pictures(card, before, next) {
    const { url } = this.compared(card);
    const all = [
      { id: "original", name: "Original", src: this.originalUrl },
      { id: "source", name: "What it was mended from", src: card.source },
      { id: "nearest", name: "Nearest in the dataset", src: card.nearest },
      ...card.alike.map(({ id, src }, at) => ({ id, name: `Look-alike ${at + 1}`, src })),
      { id: "before", name: "The one before", src: before?.src },
      { id: "next", name: "The next one", src: next?.src },
    ].filter(({ src }) => src);
    all.sort((one, other) => (other.src === url) - (one.src === url));
    return [{ id: "candidate", name: `This candidate: ${card.label}`, src: card.src }, ...all];
  }

  slide() {
    this.find(".over").style.clipPath = `inset(0 ${100 - this.find(".slide").value}% 0 0)`;
  }

  blink() {
    this.blinked = !this.blinked;
    this.compare();
  }

  describe(card) {
    this.find(".tags").replaceChildren(
      ...card.tags.map(([tag, mark]) => {
        const chip = element("li", `tag ${mark}`);
        const inside = mark === "eliminated" ? "del" : mark === "added" ? "ins" : "span";
        chip.append(element(inside, "", tag));
        if (mark !== "kept") chip.title = mark === "added" ? "added by the recipe" : "left out by the recipe";
        return chip;
      }),
    );
    this.pairs(".facts", card.facts);
    this.pairs(".scores", card.caption ? [...card.scores, ["Caption", card.caption]] : card.scores);
    const alike = this.find(".alike");
    alike.hidden = !card.alike_count;
    alike.querySelector("p").textContent =
      card.alike_count === 1 ? "1 look-alike is hidden behind it" : `${card.alike_count} look-alikes are hidden behind it`;
    alike.querySelector("div").replaceChildren(
      ...card.alike.map((lookAlike, at) => {
        const button = Object.assign(element("button"), { type: "button", title: "Compare, and choose which is shown" });
        button.append(Object.assign(element("img"), { src: lookAlike.small, alt: `Look-alike ${at + 1}`, loading: "lazy" }));
        button.onclick = () => this.lookAt(lookAlike);
        return button;
      }),
    );
  }

  // Show a look-alike, large, beside the candidate that it is hidden behind.
  lookAt(lookAlike) {
    this.other = lookAlike;
    const dialog = this.find(".other");
    dialog.querySelector(".this").src = this.card.src;
    dialog.querySelector(".that").src = lookAlike.src;
    this.message(".why", "");
    dialog.showModal();
  }

  pairs(selector, pairs) {
    this.find(selector).replaceChildren(
      ...pairs.map(([name, value, meaning]) => {
        const pair = element("div");
        if (meaning) pair.title = meaning;
        pair.append(element("dt", "", name), element("dd", "", value));
        return pair;
      }),
    );
  }

  progress({ total, accepted, rejected }) {
    const decided = accepted + rejected;
    this.find(".fill").style.width = `${total ? (100 * decided) / total : 0}%`;
    this.find(".count").textContent = `${decided} of ${total} decided · ${accepted} accepted · ${rejected} rejected`;
  }

  message(selector, text) {
    const node = this.find(selector);
    node.textContent = text;
    node.hidden = !text;
  }

  speak(text) {
    this.find(".spoken").textContent = text;
  }
}

function standing(card) {
  const word = VERDICT_WORDS[card.verdict];
  if (!word) return "";
  return word + (card.reviewer ? ` by ${card.reviewer}` : "") + (card.reason ? `: ${card.reason}` : "");
}
