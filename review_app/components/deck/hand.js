// The candidates that this browser has before it, with the pictures of the next ones loaded and decoded.

const DECODED = 8; // pictures ready before they are shown
const STILL_THERE = 4; // and after: undo shows them again

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
    const wanted = this.cards.slice(0, DECODED);
    const kept = new Set([...wanted.map((one) => one.id), ...this.left]);
    for (const id of this.pictures.keys()) if (!kept.has(id)) this.pictures.delete(id);
    for (const card of wanted) this.picture(card);
  }

  picture(card) {
    let picture = this.pictures.get(card.id);
    if (!picture) {
      picture = new Image();
      picture.className = "picture";
      picture.decoding = "sync"; // it is decoded already: it goes onto the screen in one frame with its tags
      picture.draggable = false;
      picture.src = card.src;
      picture.decode().catch(() => {}); // one that cannot be read shows its alt text
      this.pictures.set(card.id, picture);
    }
    return picture;
  }
}
