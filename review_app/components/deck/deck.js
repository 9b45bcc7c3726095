// The browser's part of the deck, the review component that deck_component.py mounts and deck_server.py answers.
// A key decides at once, here in the browser, and the next picture is on the screen in the same frame. The server
// gets the verdict a moment later, confirms it, and hands out the next candidates.

const MOST_HELD = 16; // as in deck_server.py
const FEWEST_HELD = 2; // the one on the screen and the next
const FIRST_HELD = 4; // before the server has told how many are left, and for how many browsers
const FIRST_AT_ONCE = 8; // of the candidates that somebody wants to see before all others
const UNUSED = 60000; // milliseconds without a key or a pointer, after which all but the fewest go back
const STILL_HERE = 40000; // milliseconds between heartbeats; the server frees the candidates after three missed ones
const LOOK_AGAIN = 3000; // milliseconds between requests while other browsers have the last candidates

class Deck {
  constructor(root, data, tell) {
    this.root = root;
    this.hand = new Hand();
    this.view = new View(root);
    this.trail = []; // acts that can be undone, the latest at the end
    this.counts = { total: 0, accepted: 0, rejected: 0 };
    this.first = []; // ids to show before all others, as soon as there is room
    this.asked = new Set(); // ids of these, and of those that are in the hand already
    this.dealt = false;
    this.elsewhere = 0;
    this.browsers = 0; // others that hold candidates of this generation
    this.used = performance.now();
    this.pastEnds = false;
    this.wasDone = false;
    this.sender = new Sender({
      url: data.url,
      request: () => this.request(),
      answered: (answer, asked) => this.answered(answer, asked),
      failed: (error) => this.failed(error),
    });
    this.update(data, tell);
    this.outbox = new Outbox(data.project, data.generation);
    this.endings = [listenToPage(root, (event) => this.key(event)), listenToUse(() => this.use())];
    root.querySelector(".zoom-acts").append(root.querySelector(".verdicts").cloneNode(true));
    this.zoom = new Zoom(root.querySelector(".zoom"), () => root.querySelector(".stage").focus());
    this.endings.push(() => this.zoom.end());
    const stage = root.querySelector(".stage");
    listenToFingers(stage, (what) => this.act(what));
    stage.ondblclick = () => this.act("zoom");
    root.querySelectorAll("[data-do]").forEach((button) => {
      button.onclick = () => this.act(button.dataset.do);
    });
    root.querySelectorAll("[data-alike]").forEach((button) => {
      button.onclick = () => this.settle(button.dataset.alike);
    });
    listKeys(root.querySelector(".help"), [...HELP, ...ZOOM_KEYS.map(([key, what]) => [key, `in the zoom: ${what}`])]);
    this.listen(window, "pagehide", () => this.leave());
    this.listen(window, "online", () => this.sender.soon(0));
    this.listen(document, "visibilitychange", () => this.sender.soon(0)); // a hidden page gives candidates back
    const timer = setInterval(() => document.hidden || this.sender.soon(0), STILL_HERE);
    this.endings.push(() => clearInterval(timer));
    this.sender.soon(0);
  }

  listen(target, name, heard) {
    target.addEventListener(name, heard);
    this.endings.push(() => target.removeEventListener(name, heard));
  }

  // Streamlit ran the page's script again, and its data may have changed.
  update(data, tell) {
    this.tell = tell;
    this.generation = data.generation;
    this.alikeUrl = data.alike;
    this.reasons = data.reasons;
    this.view.original(data.original);
    this.only = data.only;
    this.view.heading(data.project, `Generation ${data.generation}`, data.part);
    this.root.querySelector(".only").onclick = () => this.tell("all", true);
    const buttons = data.reasons.map((reason, at) => {
      const button = element("button", "", reason);
      button.type = "button";
      button.prepend(element("kbd", "", String(at + 1)));
      button.onclick = () => this.act("reason", at + 1);
      return button;
    });
    this.root.querySelector(".reasons").replaceChildren(...buttons);
    if (data.first.length) {
      this.first = data.first;
      this.asked = new Set(data.first);
      this.sender.soon(0);
    }
  }

  // ---- what the reviewer does

  // Return whether the key is one of ours.
  key(event) {
    if (this.zoom.isOpen && this.zoom.key(event)) return true;
    const meant = whatIsMeant(event);
    if (meant && !event.repeat) this.act(meant.what, meant.number);
    return Boolean(meant);
  }

  act(what, number) {
    if (what === "help") return toggleDialog(this.root.querySelector(".help"));
    if (what === "undo") return this.undo();
    if (!this.hand.current) return undefined;
    if (what === "blink") return this.view.blink();
    if (what === "zoom") return this.zoom.open(this.pictures());
    if (what === "fix") {
      this.zoom.close(); // the dialog would lie behind it
      return this.tell("fix", this.hand.current.id);
    }
    if (what === "reason") return this.reasons[number - 1] && this.decide("reject", this.reasons[number - 1]);
    if (what === "later") return this.later();
    return this.decide(what, "");
  }

  decide(verdict, reason) {
    const card = this.hand.take();
    const act = { id: newId(), do: verdict, seen: { [card.id]: card.verdict }, reason, of: "" };
    this.count(card.verdict, -1);
    this.count(verdict, 1);
    this.trail.push({ id: act.id, do: verdict, before: card.verdict, card, given: { [card.id]: verdict } });
    this.send(act);
    this.show(VERDICT_WORDS[verdict] + (reason ? `: ${reason}` : ""));
  }

  later() {
    const card = this.hand.take();
    if (card.verdict === "undecided") {
      const act = { id: newId(), do: "later", seen: { [card.id]: "undecided" }, reason: "", of: "" };
      this.trail.push({ id: act.id, do: "later", before: "undecided", card, given: { [card.id]: "undecided" } });
      this.send(act);
    }
    this.show("postponed");
  }

  undo() {
    const last = this.trail.pop();
    if (!last) return this.view.message(".notice", this.pastEnds ? "There is nothing left to undo." : "Loading earlier verdicts …");
    if (this.trail.length < 5) this.sender.soon(0); // the server may know earlier ones
    for (const verdict of Object.values(last.given)) {
      this.count(verdict, -1);
      this.count(last.before, 1);
    }
    this.hand.putFirst([{ ...last.card, verdict: last.before, reviewer: "", reason: "" }]);
    this.show("undone");
    this.send({ id: newId(), do: "undo", seen: last.given, reason: "", of: last.id });
  }

  pictures() {
    return this.view.pictures(this.hand.current, this.trail.at(-1)?.card, this.hand.cards[1]);
  }

  // Publish a look-alike in place of the candidate, or beside it; the deck shows it next.
  async settle(what) {
    const dialog = this.root.querySelector(".other");
    if (what === "close") return dialog.close();
    const { card, other } = this.view;
    try {
      const answer = await post(this.alikeUrl, { shown: card.id, hidden: other.id, do: what });
      if (answer.problem) return this.view.message(".why", answer.problem);
    } catch (error) {
      return this.view.message(".why", error instanceof TypeError ? "The server does not answer." : error.message);
    }
    dialog.close();
    this.hand.drop(new Set([card.id]));
    this.first = what === "represent" ? [other.id] : [other.id, card.id];
    this.asked = new Set(this.first);
    return this.sender.soon(0);
  }

  count(verdict, by) {
    if (verdict === "accept") this.counts.accepted += by;
    if (verdict === "reject") this.counts.rejected += by;
  }

  send(act) {
    this.outbox.add(act);
    this.sender.soon();
  }

  // ---- what is on the screen

  show(said = "") {
    const card = this.hand.current;
    this.view.show(card, card && this.hand.picture(card));
    this.view.progress(this.counts);
    this.view.message(".notice", "");
    this.allowUndo();
    if (!card) this.zoom.close();
    else if (this.zoom.isOpen) this.zoom.offer(this.pictures());
    if (said) this.view.speak(card ? `${said}. Next: ${card.prompt}` : `${said}.`);
    this.hand.prepare();
    this.end();
  }

  // If the hand is empty, say why: all is decided, more candidates are coming, or other browsers have the rest.
  end() {
    const isEmpty = this.dealt && !this.hand.current;
    const decided = this.counts.accepted + this.counts.rejected;
    const isDone = isEmpty && decided >= this.counts.total;
    let text = "";
    if (isEmpty && !isDone) {
      const others = this.elsewhere === 1 ? "1 picture is" : `${this.elsewhere} pictures are`;
      text = this.elsewhere ? `${others} with other reviewers right now.` : "Loading the next pictures …";
      this.sender.soon(LOOK_AGAIN);
    }
    this.view.message(".empty", text);
    if (isDone !== this.wasDone) {
      this.wasDone = isDone;
      this.whenSent = () => this.tell("done", isDone);
    }
  }

  // ---- the server

  // Somebody is there: take back what was given back meanwhile.
  use() {
    const wasUnused = performance.now() - this.used > UNUSED;
    this.used = performance.now();
    if (wasUnused) this.sender.soon(0);
  }

  // Return how many undecided candidates to hold: few enough that one more browser could have as many.
  share() {
    if (document.hidden || performance.now() - this.used > UNUSED) return FEWEST_HELD;
    if (!this.dealt) return FIRST_HELD;
    const undecided = this.counts.total - this.counts.accepted - this.counts.rejected;
    return Math.min(MOST_HELD, Math.max(FEWEST_HELD, Math.floor(undecided / (this.browsers + 2))));
  }

  // Return how many of the hand's first cards are those to show before all others.
  countFirst() {
    const end = this.hand.cards.findIndex((card) => !this.asked.has(card.id));
    return end < 0 ? this.hand.cards.length : end;
  }

  undecided() {
    return this.hand.cards.filter((card) => card.verdict === "undecided").map((card) => card.id);
  }

  request() {
    const acts = this.outbox.list().slice(0, 500);
    const needsPast = !this.pastEnds && this.trail.length < 5;
    const before = this.trail.find((act) => act.do !== "later");
    const share = this.share();
    const undecided = this.undecided();
    this.returned = new Set(undecided.slice(share));
    const first = this.first.slice(0, Math.max(0, Math.min(FIRST_AT_ONCE, share) - this.countFirst()));
    return {
      browser: browserName(), acts, generation: this.generation,
      holding: undecided.slice(0, share),
      first,
      want: Math.max(0, share - this.hand.cards.length - first.length),
      only: this.only,
      past: needsPast ? (before?.id ?? "") : null,
    };
  }

  answered(answer, asked) {
    this.outbox.confirm(answer.done);
    const waiting = this.outbox.list();
    this.view.message(".trouble", "");
    this.refused(answer.refused);
    const back = [...this.returned].filter((id) => this.asked.has(id));
    this.first = [...back, ...this.first.filter((id) => !asked.first.includes(id))];
    const before = this.hand.current;
    const gone = new Set(asked.holding);
    answer.kept.forEach((id) => gone.delete(id));
    this.hand.drop(gone);
    this.hand.drop(this.returned);
    const judged = new Set(waiting.flatMap((act) => Object.keys(act.seen)));
    const cards = answer.cards.filter((card) => !judged.has(card.id));
    this.hand.putAt(this.countFirst(), cards.filter((card) => asked.first.includes(card.id)));
    this.hand.add(cards);
    if (answer.past) this.remember(answer.past, answer.past_ends);
    this.elsewhere = answer.elsewhere;
    this.browsers = answer.browsers;
    if (!waiting.length) this.counts = answer.counts;
    const isFirst = !this.dealt; // even an empty first answer changes the screen
    this.dealt = true;
    const isLost = before && isBroken(this.hand.picture(before)); // the server did not answer when it was requested
    this.hand.prepare();
    if (this.hand.current !== before || isLost || isFirst) this.show();
    else this.view.progress(this.counts);
    this.end();
    if (waiting.length) this.sender.soon(0);
    else if (this.whenSent) {
      this.whenSent();
      this.whenSent = null;
    }
    const enough = isFirst ? this.share() : this.share() / 2;
    if (this.hand.cards.length < enough && answer.cards.length) this.sender.soon(0);
    else if (this.undecided().length > this.share()) this.sender.soon(1000); // others have come: give some back
    this.root.dataset.unsent = String(waiting.length);
  }

  // Add this reviewer's earlier acts, so that undo reaches back to them.
  remember(earlier, ends) {
    const known = new Set(this.trail.map((act) => act.id));
    const isUndone = new Set(this.outbox.list().map((act) => act.of));
    this.trail.unshift(...earlier.filter((act) => !known.has(act.id) && !isUndone.has(act.id)).reverse());
    this.pastEnds = ends;
    this.allowUndo();
  }

  allowUndo() {
    const isOver = !this.trail.length && this.pastEnds;
    this.root.querySelectorAll('[data-do="undo"]').forEach((button) => (button.disabled = isOver));
  }

  refused(refused) {
    if (!refused.length) return;
    const ids = new Set(refused.map((refusal) => refusal.act));
    this.trail = this.trail.filter((act) => !ids.has(act.id));
    const [first] = refused;
    const more = refused.length > 1 ? ` (and ${refused.length - 1} more)` : "";
    const notice = `Verdict refused: ${first.candidate.slice(0, 6)} was ${first.why}${more}`;
    setTimeout(() => this.view.message(".notice", notice));
  }

  failed(error) {
    const unsent = this.outbox.list().length;
    const verdicts = unsent === 1 ? "1 verdict is" : `${unsent} verdicts are`;
    const why = error instanceof TypeError || error.name === "TimeoutError" ? "The server does not answer" : error.message;
    this.view.message(".trouble", unsent ? `${why}. ${verdicts} kept here and sent as soon as it does.` : `${why}.`);
    this.root.dataset.unsent = String(unsent);
  }

  // Free this browser's candidates for others. Unsent acts stay in the storage until the next visit.
  leave() {
    const asked = { browser: browserName(), acts: this.outbox.list().slice(0, 100), leaving: true };
    fetch(this.sender.url, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(asked), keepalive: true,
    }).catch(() => {});
  }

  close() {
    this.leave();
    this.sender.close();
    this.endings.forEach((end) => end());
  }
}

const decks = new WeakMap();

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".deck");
  const tell = (what, value) => (what === "done" ? setStateValue(what, value) : setTriggerValue(what, value));
  const known = decks.get(root);
  const isSame = known && known.generation === data.generation && known.sender.url === data.url;
  if (isSame && JSON.stringify(known.only) === JSON.stringify(data.only)) known.update(data, tell);
  else {
    known?.close();
    decks.set(root, new Deck(root, data, tell));
  }
  return () => {
    decks.get(root)?.close();
    decks.delete(root);
  };
}
