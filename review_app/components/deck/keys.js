// Keys and swipes, and the acts that they stand for.

const KEYS = {
  a: "accept", ArrowRight: "accept", r: "reject", ArrowLeft: "reject", s: "later", ArrowDown: "later",
  u: "undo", " ": "blink", z: "zoom", f: "fix", "?": "help", Escape: "leave",
};
const HELP = [
  ["A or →", "accept"], ["R or ←", "reject"], ["1 to 9", "reject with a reason"], ["S or ↓", "later, after all others"],
  ["U or Ctrl+Z", "undo, without limit"], ["Space", "blink between candidate and reference"],
  ["Z", "zoom"], ["F", "fix it: caption, draw again, inpaint"], ["swipe", "right accepts, left rejects"], ["?", "these keys"],
];
const SWIPE = 60; // pixels

function whatIsMeant(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return key === "z" && !event.shiftKey && !event.altKey ? { what: "undo" } : null;
  if (event.altKey) return null;
  if (/^[1-9]$/.test(key)) return { what: "reason", number: Number(key) };
  return Object.hasOwn(KEYS, key) ? { what: KEYS[key] } : null;
}

// Whether the key belongs to something else on the page: a text field, a menu, a button or a dialog.
function isBusyElsewhere(event, root) {
  const target = event.composedPath()[0];
  if (!(target instanceof Element)) return false;
  if (document.querySelector("[role=dialog], [aria-modal=true]")) return true;
  const open = root.querySelector("dialog[open]"); // the browser closes it on Escape
  if (open) return !open.matches(".help") || event.key !== "?";
  if (target.closest("input, textarea, select, [contenteditable=true], [role=menu], [role=listbox]")) return true;
  return target.closest("button, a, summary, [role=button], [role=radio]") !== null && [" ", "Enter"].includes(event.key);
}

// Listen in the capture phase, before Streamlit, which uses R itself. Return a function that stops listening.
function listenToKeys(root, act) {
  const heard = (event) => {
    if (!root.isConnected || isBusyElsewhere(event, root)) return;
    const meant = whatIsMeant(event);
    if (!meant) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!event.repeat) act(meant.what, meant.number);
  };
  window.addEventListener("keydown", heard, { capture: true });
  return () => window.removeEventListener("keydown", heard, { capture: true });
}

function listenToFingers(stage, act) {
  let from = null;
  const slot = stage.querySelector(".slot");
  const end = (event) => {
    if (!from) return;
    const [right, down] = [event.clientX - from.x, event.clientY - from.y];
    from = null;
    slot.style.transform = "";
    if (event.type === "pointerup" && Math.abs(right) > SWIPE && Math.abs(right) > 2 * Math.abs(down)) {
      act(right > 0 ? "accept" : "reject");
    }
  };
  stage.onpointerdown = (event) => {
    if (event.pointerType !== "mouse" && !event.target.closest("input")) from = { x: event.clientX, y: event.clientY };
  };
  stage.onpointermove = (event) => {
    if (from) slot.style.transform = `translateX(${event.clientX - from.x}px)`;
  };
  stage.onpointerup = end;
  stage.onpointercancel = end;
}
