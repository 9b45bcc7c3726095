// The candidates that the server has handed to this browser: all pictures loaded, the next ones decoded.

const DECODED = 8; // pictures that are decoded before they are shown
const STILL_THERE = 4; // pictures that are kept after they were shown, because undo shows them again

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
    const known = new Set(this.cards.map((card) => card.id));
    this.cards.push(...cards.filter((card) => !known.has(card.id)));
    this.prepare();
  }

  putFirst(cards) {
    this.putAt(0, cards);
  }

  // Put cards behind the first ones, this many; a card that is there already moves.
  putAt(place, cards) {
    const ids = new Set(cards.map((card) => card.id));
    const others = (some) => some.filter((card) => !ids.has(card.id));
    this.cards = [...others(this.cards.slice(0, place)), ...cards, ...others(this.cards.slice(place))];
    this.prepare();
  }

  take() {
    const card = this.cards.shift();
    this.left = [card.id, ...this.left.filter((id) => id !== card.id)].slice(0, STILL_THERE);
    return card;
  }

  drop(ids) {
    this.cards = this.cards.filter((card) => !ids.has(card.id));
  }

  prepare() {
    const kept = new Set([...this.cards.map((card) => card.id), ...this.left]);
    for (const [id, picture] of this.pictures) if (!kept.has(id) || isBroken(picture)) this.pictures.delete(id);
    this.cards.forEach((card, at) => {
      const picture = this.picture(card);
      if (at < DECODED) picture.decode().catch(() => {}); // an unreadable picture shows its alt text
    });
  }

  picture(card) {
    let picture = this.pictures.get(card.id);
    if (!picture) {
      picture = new Image();
      picture.className = "picture";
      picture.decoding = "sync"; // it is already decoded, so picture and tags appear in the same frame
      picture.draggable = false;
      picture.src = card.src;
      this.pictures.set(card.id, picture);
    }
    return picture;
  }
}

// Whether the picture failed to load; another request may succeed.
function isBroken(picture) {
  return picture.complete && !picture.naturalWidth;
}
