// A candidate's cell in the grid. What a person wrote goes in as text or as an attribute, never as HTML.

const MARKS = { accept: "✓", reject: "✕", undecided: "" };
const SPOKEN = { accept: "accepted", reject: "rejected", undecided: "undecided" };
const TAIL = 10; // letters at the end of a label that are never cut off

function makeCell(candidate, thumbnails) {
  const node = (name, className, content = {}) => Object.assign(document.createElement(name), { className }, content);
  const cell = node("div", "cell");
  cell.setAttribute("role", "option");
  cell.id = `cell-${candidate.id}`;
  cell.dataset.id = candidate.id;
  cell.title = `${candidate.label}, strength ${candidate.strength}\n${candidate.prompt}`;
  const frame = node("div", "frame");
  const picture = node("img", "", { alt: "", decoding: "async", draggable: false });
  picture.src = `${thumbnails}${candidate.id}.webp`;
  frame.append(picture, node("span", "mark"));
  const label = node("div", "label");
  const cut = Math.max(0, candidate.label.length - TAIL);
  const how = node("span", "how");
  how.append(
    node("span", "start", { textContent: candidate.label.slice(0, cut) }),
    node("span", "end", { textContent: candidate.label.slice(cut) }),
  );
  label.append(how, node("span", "at", { textContent: candidate.strength }));
  cell.append(frame, label);
  return cell;
}

function updateCell(cell, candidate, { index, count, isSelected, isHere }) {
  cell.dataset.verdict = candidate.verdict;
  cell.classList.toggle("is-selected", isSelected);
  cell.classList.toggle("is-here", isHere);
  cell.setAttribute("aria-selected", String(isSelected));
  cell.setAttribute("aria-label", `${candidate.prompt} (${SPOKEN[candidate.verdict]})`);
  cell.setAttribute("aria-setsize", String(count));
  cell.setAttribute("aria-posinset", String(index + 1));
  cell.querySelector(".mark").textContent = MARKS[candidate.verdict];
}
