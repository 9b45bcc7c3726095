// Keys for the whole page, without a click on the component first; deck and grid share it.

const NOT_FOR_TEXT = ["range", "checkbox", "radio", "button", "submit", "reset", "file", "color"];
const STEERING = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown", " ", "Enter"];

// Whether the key belongs to something else on the page: a text field, a menu, a button or a dialog. `.zoom` and
// `.help` are dialogs of the component that share its keys, `.help` only the one that closes it.
function isBusyElsewhere(event, root) {
  const target = event.composedPath()[0];
  if (!(target instanceof Element)) return false;
  if (document.querySelector("[role=dialog], [aria-modal=true]")) return true;
  const open = root.querySelector("dialog[open]:not(.zoom)"); // the browser closes it on Escape
  if (open) return !open.matches(".help") || event.key !== "?";
  if (target.matches("input") && NOT_FOR_TEXT.includes(target.type)) return STEERING.includes(event.key);
  if (target.matches("select")) return isChoosing(target);
  if (target.closest("input, textarea, [contenteditable=true], [role=menu], [role=listbox]:not(.scroller)")) return true;
  return target.closest("button, a, summary, [role=button], [role=radio]") !== null && [" ", "Enter"].includes(event.key);
}

// A menu that was clicked and closed again keeps the focus, but the next key is not meant for it.
function isChoosing(select) {
  return select.dataset.clicked === undefined || !CSS.supports("selector(:open)") || select.matches(":open");
}

// Listen in the capture phase, before Streamlit, which uses some keys itself. `heard` returns whether it used the key.
// Return a function that stops listening.
function listenToPage(root, heard) {
  const onKey = (event) => {
    if (!root.isConnected || isBusyElsewhere(event, root) || !heard(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  window.addEventListener("keydown", onKey, { capture: true });
  for (const select of root.querySelectorAll("select")) {
    select.addEventListener("pointerdown", () => (select.dataset.clicked = ""));
    select.addEventListener("blur", () => delete select.dataset.clicked);
  }
  for (const slider of root.querySelectorAll("input[type=range]")) {
    slider.addEventListener("pointerup", () => slider.blur()); // otherwise the arrows would go on moving it
  }
  return () => window.removeEventListener("keydown", onKey, { capture: true });
}

// Call `used` at each key and each move of a pointer. Return a function that stops listening.
function listenToUse(used) {
  const events = ["keydown", "pointerdown", "pointermove", "wheel"];
  events.forEach((name) => window.addEventListener(name, used, { capture: true, passive: true }));
  return () => events.forEach((name) => window.removeEventListener(name, used, { capture: true }));
}

function keyOf(event) {
  return event.key.length === 1 ? event.key.toLowerCase() : event.key;
}

// Fill a dialog with keys and what they do.
function listKeys(dialog, keys) {
  const node = (name, text) => Object.assign(document.createElement(name), { textContent: text });
  dialog.querySelector("dl").replaceChildren(...keys.flatMap(([key, what]) => [node("dt", key), node("dd", what)]));
}

function toggleDialog(dialog) {
  if (dialog.open) dialog.close();
  else dialog.showModal();
}
