// The candidates that this browser has before it: their pictures loaded, and those of the next ones decoded.

const DECODED = 8; // pictures ready to be painted before they are shown
const STILL_THERE = 4; // and after that: undo shows them again

class Hand {
  constructor() {
    this.cards = [];
    this.pictures = new Map();
    this.left = [];
  }

  get current() {
    return this.cards[0] ?? null;
  }

  add(cards) {
    const known = new Set(this.cards.map((one) => one.id));
    this.cards.push(...cards.filter((one) => !known.has(one.id)));
    this.prepare();
  }

  putFirst(cards) {
    const ids = new Set(cards.map((one) => one.id));
    this.cards = [...cards, ...this.cards.filter((one) => !ids.has(one.id))];
    this.prepare();
  }

  take() {
    const card = this.cards.shift();
    this.left = [card.id, ...this.left.filter((id) => id !== card.id)].slice(0, STILL_THERE);
    return card;
  }

  drop(ids) {
    this.cards = this.cards.filter((one) => !ids.has(one.id));
  }

  prepare() {
    const kept = new Set([...this.cards.map((one) => one.id), ...this.left]);
    for (const [id, picture] of this.pictures) if (!kept.has(id) || isBroken(picture)) this.pictures.delete(id);
    this.cards.forEach((card, at) => {
      const picture = this.picture(card);
      if (at < DECODED) picture.decode().catch(() => {}); // one that cannot be read shows its alt text
    });
  }

  picture(card) {
    let picture = this.pictures.get(card.id);
    if (!picture) {
      picture = new Image();
      picture.className = "picture";
      picture.decoding = "sync"; // it is decoded already: it goes onto the screen in one frame with its tags
      picture.draggable = false;
      picture.src = card.src;
      this.pictures.set(card.id, picture);
    }
    return picture;
  }
}

// It could not be loaded; asked for again, it may be there.
function isBroken(picture) {
  return picture.complete && !picture.naturalWidth;
}
