const panel = document.getElementById("cell");
function show(key) {
  const cell = cells[key];
  const heading = document.createElement("p");
  const kind = cell.true === cell.predicted ? `${cell.true}, recognised` : `${cell.true} taken for ${cell.predicted}`;
  heading.textContent = `${kind}: ${cell.count.toLocaleString("en")} ${cell.count === 1 ? "image" : "images"}`;
  const row = document.createElement("div");
  for (const [index, address] of cell.images) {
    const figure = document.createElement("figure");
    const picture = document.createElement("img");
    picture.src = address;
    picture.alt = `test image ${index}`;
    figure.append(picture, String(index));
    row.append(figure);
  }
  panel.replaceChildren(heading, row);
}
for (const button of document.querySelectorAll("[data-cell]")) {
  for (const event of ["mouseenter", "focus", "click"]) {
    button.addEventListener(event, () => show(button.dataset.cell));
  }
}
const first = document.querySelector(".wrong [data-cell]") ?? document.querySelector("[data-cell]");
if (first) show(first.dataset.cell);
const slider = document.getElementById("threshold");
function say() {
  const k = Number(slider.value);
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  document.getElementById("threshold-value").textContent = (k / thresholds.coverages.length).toFixed(2);
  document.getElementById("threshold-says").textContent = thresholds.coverages[k]
    ? `The model answers ${percent(thresholds.coverages[k])} of the images, ${percent(thresholds.accuracies[k])} of them correctly, and says "not sure" for the rest.`
    : "The model answers none of the images.";
}
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
slider.addEventListener("input", say);
say();
