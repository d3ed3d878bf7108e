// The page says everything without this; it only lets one look at decisions of one kind.
"use strict";
const bar = document.querySelector(".filters");
const rows = [...document.querySelectorAll("#decisions tbody tr")];
const status = document.querySelector("#shown");
for (const kind of ["all", ...new Set(rows.map((row) => row.dataset.kind))]) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = kind;
  button.setAttribute("aria-pressed", String(kind === "all"));
  button.addEventListener("click", () => {
    for (const other of bar.children) other.setAttribute("aria-pressed", String(other === button));
    for (const row of rows) row.hidden = kind !== "all" && row.dataset.kind !== kind;
    status.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} decisions shown`;
  });
  bar.append(button);
}
bar.hidden = rows.length === 0;
