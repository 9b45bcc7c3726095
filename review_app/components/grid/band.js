// Selecting with a rectangle that the mouse draws over the cells.

const FAR_ENOUGH = 6; // pixels: less is a click

// `begin(event)` is called when a rectangle begins, `draw(place)` with the rectangle's {left, top, right, bottom} in
// the content of `scroller` at each move.
function listenToBand(scroller, content, begin, draw) {
  const band = Object.assign(document.createElement("div"), { className: "band", hidden: true });
  content.append(band);
  let from = null;
  let last = null;

  const placeOf = (event) => {
    const { left, top } = content.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const stretch = () => {
    const here = placeOf(last);
    const [left, right] = [Math.min(from.x, here.x), Math.max(from.x, here.x)];
    const [top, bottom] = [Math.min(from.y, here.y), Math.max(from.y, here.y)];
    Object.assign(band.style, { left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px` });
    draw({ left, top, right, bottom });
  };
  // At the upper and lower edge the grid goes on scrolling.
  const scroll = () => {
    if (!from || band.hidden) return;
    const { top, bottom } = scroller.getBoundingClientRect();
    const beyond = last.clientY > bottom - 20 ? 12 : last.clientY < top + 20 ? -12 : 0;
    if (beyond) {
      scroller.scrollTop += beyond;
      stretch();
    }
    requestAnimationFrame(scroll);
  };
  scroller.addEventListener("pointerdown", (event) => {
    const isOnScrollbar = event.offsetX > scroller.clientWidth && event.target === scroller;
    from = event.pointerType === "mouse" && !event.button && !isOnScrollbar ? placeOf(event) : null;
  });
  scroller.addEventListener("pointermove", (event) => {
    if (!from) return;
    last = event;
    const here = placeOf(event);
    if (band.hidden) {
      if (Math.hypot(here.x - from.x, here.y - from.y) < FAR_ENOUGH) return;
      scroller.setPointerCapture(event.pointerId); // the cell below gets no click then
      band.hidden = false;
      begin(event);
      scroll();
    }
    stretch();
  });
  const end = () => {
    from = null;
    setTimeout(() => (band.hidden = true)); // after the click that ends it
  };
  scroller.addEventListener("pointerup", end);
  scroller.addEventListener("pointercancel", end);
  return () => !band.hidden;
}
