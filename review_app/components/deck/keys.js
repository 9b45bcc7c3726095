// Keys and swipes, and the acts that they stand for.

const KEYS = {
  a: "accept", ArrowRight: "accept", r: "reject", ArrowLeft: "reject", s: "later", ArrowDown: "later",
  u: "undo", " ": "blink", z: "zoom", f: "fix", "?": "help",
};
const HELP = [
  ["A or →", "accept"], ["R or ←", "reject"], ["1 to 9", "reject with a reason"], ["S or ↓", "later, after all others"],
  ["U or Ctrl+Z", "undo, without limit"], ["Space", "blink between candidate and reference"],
  ["Z", "zoom; Z, Esc or a tap leaves it"], ["F", "fix it: caption, draw again, inpaint"],
  ["swipe", "right accepts, left rejects; two fingers zoom"], ["?", "these keys"],
];
const SWIPE = 60; // pixels

function whatIsMeant(event) {
  const key = keyOf(event);
  if (event.ctrlKey || event.metaKey) return key === "z" && !event.shiftKey && !event.altKey ? { what: "undo" } : null;
  if (event.altKey) return null;
  if (/^[1-9]$/.test(key)) return { what: "reason", number: Number(key) };
  return Object.hasOwn(KEYS, key) ? { what: KEYS[key] } : null;
}

function listenToFingers(stage, act) {
  let from = null;
  const fingers = new Set();
  const slot = stage.querySelector(".slot");
  const end = (event) => {
    fingers.delete(event.pointerId);
    if (!from) return;
    const [right, down] = [event.clientX - from.x, event.clientY - from.y];
    from = null;
    slot.style.transform = "";
    if (event.type === "pointerup" && Math.abs(right) > SWIPE && Math.abs(right) > 2 * Math.abs(down)) {
      act(right > 0 ? "accept" : "reject");
    }
  };
  stage.onpointerdown = (event) => {
    if (event.pointerType === "mouse" || event.target.closest("input")) return;
    fingers.add(event.pointerId);
    from = fingers.size === 1 ? { x: event.clientX, y: event.clientY } : null;
    if (from) return;
    slot.style.transform = "";
    act("zoom"); // two fingers want to see more of it
  };
  stage.onpointermove = (event) => {
    if (from) slot.style.transform = `translateX(${event.clientX - from.x}px)`;
  };
  stage.onpointerup = end;
  stage.onpointercancel = end;
}
