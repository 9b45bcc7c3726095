// The grid: cells are made once and kept, so that a verdict changes a mark and loads no picture again.
// Everything that a person wrote goes in as text or as an attribute, never as HTML.

const MARKS = { accept: "✓", reject: "✕", undecided: "" };
const SPOKEN = { accept: "accepted", reject: "rejected", undecided: "undecided" };

function make(name, className, properties = {}) {
  const node = document.createElement(name);
  if (className) node.className = className;
  return Object.assign(node, properties);
}

function makeCell(id, tell) {
  const cell = make("li", "cell");
  const open = make("button", "open", { type: "button" });
  const picture = make("img", "", { loading: "lazy", decoding: "async", alt: "" });
  const actions = make("div", "actions");
  const reject = make("button", "reject", { type: "button", textContent: MARKS.reject, title: "Reject" });
  const accept = make("button", "accept", { type: "button", textContent: MARKS.accept, title: "Accept" });
  const label = make("div", "label");
  label.append(make("span", "how"), make("span", "mark"));
  open.append(picture);
  actions.append(reject, accept);
  cell.append(open, actions, label);
  cell.dataset.id = id;
  open.onclick = () => tell("open", id);
  reject.onclick = () => tell("reject", id);
  accept.onclick = () => tell("accept", id);
  return cell;
}

function fill(cell, { src, verdict, label, prompt }) {
  const find = (selector) => cell.querySelector(selector);
  const picture = find("img");
  if (picture.getAttribute("src") !== src) picture.src = src;
  cell.dataset.verdict = verdict;
  find(".open").setAttribute("aria-label", `Open: ${prompt} (${SPOKEN[verdict]})`);
  find(".open").title = prompt;
  find(".how").textContent = label;
  find(".mark").textContent = MARKS[verdict];
  for (const one of ["accept", "reject"]) {
    find(`.actions .${one}`).setAttribute("aria-pressed", String(verdict === one));
    find(`.actions .${one}`).setAttribute("aria-label", one === "accept" ? "Accept" : "Reject");
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const list = parentElement.querySelector(".grid");
  const tell = (what, id) => setTriggerValue("action", { do: what, id });
  const known = new Map([...list.children].map((cell) => [cell.dataset.id, cell]));
  const cells = data.cells.map((one) => {
    const cell = known.get(one.id) ?? makeCell(one.id, tell);
    fill(cell, one);
    return cell;
  });
  const same = cells.length === list.children.length && cells.every((cell, at) => cell === list.children[at]);
  if (!same) list.replaceChildren(...cells); // moving a cell would take the focus from it
}
