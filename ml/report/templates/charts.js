// Replaces each static chart by an interactive one of its element's width. Where that fails, the static one stays.
const specifications = JSON.parse(document.querySelector("#charts").textContent);
const note = document.createElement("div");
note.className = "chart-note";
note.hidden = true;
note.setAttribute("aria-hidden", "true");
document.body.append(note);

function showNote(handler, event, item, value) {
  note.hidden = value == null || value === "";
  if (note.hidden) return;
  note.textContent = String(value);
  const { width, height } = note.getBoundingClientRect();
  const left = Math.max(8, Math.min(event.clientX + 12, innerWidth - width - 8));
  const above = event.clientY - height - 12;
  note.style.left = `${left}px`;
  note.style.top = `${above < 8 ? event.clientY + 16 : above}px`;
}

// `ast` lets Vega interpret its expressions: the page's policy forbids eval.
const options = { actions: false, ast: true, defaultStyle: false, mode: "vega", renderer: "svg", tooltip: showNote };

async function drawChart(figure) {
  const place = document.createElement("div");
  const specification = { ...specifications[figure.id], width: figure.clientWidth };
  const { view } = await vegaEmbed(place, specification, options);
  // The figure around it is one image with a description; axe tests the marks inside it unless they are hidden.
  place.setAttribute("aria-hidden", "true");
  for (const name of ["role", "aria-label", "aria-roledescription"]) place.removeAttribute(name);
  figure.replaceChildren(place);
  new ResizeObserver(() => view.width(figure.clientWidth).runAsync()).observe(figure);
}

window.chartsDrawn = Promise.allSettled([...document.querySelectorAll(".chart")].map(drawChart));
