// How one likes to look, kept in the browser; deck and grid share it.

function remembered(name, usual, known) {
  const value = localStorage.getItem(`sid/view/${name}`);
  return known.includes(value) ? value : usual;
}

function remember(name, value) {
  try {
    localStorage.setItem(`sid/view/${name}`, value);
  } catch {
    // only a preference; the page works without it
  }
}
