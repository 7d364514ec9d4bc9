// The page of `apparel serve`. Names of classes and files are anybody's: they become text, never HTML.

// More pixels than any model here looks at.
const LONGEST_SIDE = 1024;
// Images of one request: few, so that the first answers come soon.
const BATCH = 8;
// Of a form, around each file.
const OVERHEAD = 2048;
const PATIENCE = 60_000;
// Longer tables of classes are folded.
const MANY = 12;
const MOST_SAID = 30;
// Longest side of the drawing area, in pixels.
const PAPER = 336;
const HEAT = [255, 120, 0];
const HEAT_OPACITY = 0.85;
const PLACES = [
  "at the upper left", "at the top", "at the upper right", "at the left", "in the middle", "at the right",
  "at the lower left", "at the bottom", "at the lower right",
];
// What the server calls a step, where people would say it otherwise.
const PLAIN = { negated: "swapped light and dark" };

const $ = (id) => document.getElementById(id);
let model = null;
let token = "";
let working = false;
let nCards = 0;
let drawn = false;
const waiting = []; // what was asked and has no answer yet, oldest first
const addresses = []; // of images that cards show, to be let go of

/** Something that a person is told, after which they can try again. */
class Trouble extends Error {}

/** Make an element; children that are strings become text. */
function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function percent(share) {
  if (share > 0 && share < 0.0005) return "< 0.1 %";
  if (share < 1 && share >= 0.9995) return "> 99.9 %";
  return `${(100 * share).toFixed(1)} %`;
}

const counted = (n, noun, plural = `${noun}s`) => `${n.toLocaleString("en")} ${n === 1 ? noun : plural}`;
const megabytes = (n) => `${(n / 2 ** 20).toFixed(1)} MB`;

function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

// Asking the server

function remember(given) {
  token = given;
  try {
    sessionStorage.setItem("token", given);
  } catch {
    // a browser that stores nothing asks again after a reload
  }
}

/** Ask for the token; false if the person gives none. */
function askForToken() {
  $("token-note").textContent = token ? "The server did not take that token." : "";
  $("token").value = "";
  const dialog = $("ask-token");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "given"), { once: true });
  });
}

function takeToken(event) {
  event.preventDefault();
  const given = $("token").value.trim();
  if (!/^[!-~]+$/.test(given)) {
    $("token-note").textContent = "A token has only letters, digits and signs such as - and _.";
    return;
  }
  remember(given);
  $("ask-token").close("given");
}

/** Send a request, with the token if there is one; ask for it if the server does. */
async function ask(path, options) {
  for (;;) {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    let response;
    try {
      response = await fetch(path, { ...options, headers, signal: AbortSignal.timeout(PATIENCE) });
    } catch {
      throw new Trouble("The server does not answer. Is it still running, and the network there?");
    }
    if (response.status !== 401) return response;
    if (!(await askForToken())) throw new Trouble("This server answers only with its token.");
  }
}

/** What an answer holds; nothing if it is cut off or no JSON. */
const content = (response) => response.json().catch(() => ({}));

/** Give up for now where asking again may help. */
function checkTransient(response, found) {
  if (response.status === 503) {
    const seconds = Number(response.headers.get("Retry-After"));
    const when = seconds > 0 ? `in ${counted(seconds, "second")}` : "soon";
    throw new Trouble(`The server is busy. Try again ${when}.`);
  }
  if (response.status >= 500 || [408, 429].includes(response.status)) {
    throw new Trouble(found.error ?? `The server failed (status ${response.status}).`);
  }
}

// The model

async function introduce() {
  const response = await ask("/model");
  const found = await content(response);
  checkTransient(response, found);
  if (!found.class_names) throw new Trouble(found.error ?? "The server does not say what model it has.");
  model = found;
  const title = model.dataset ? `${model.name} on ${model.dataset}` : model.name;
  const [height, width, channels] = model.img_shape;
  $("title").textContent = document.title = title;
  $("summary").textContent =
    `An image classifier${model.dataset ? `, trained on ${model.dataset}` : ""}. ` +
    `It sees images as ${width} × ${height} ${channels === 1 ? "grey" : "colour"} pixels.` +
    (model.tells_novelty ? "" : " It names a class for any image, also for one that shows none of them.");
  showClasses();
  $("hint").textContent = model.takes_photos ? "Best: one item, all of it, on a plain background." : "";
  $("draw-hint").textContent = model.takes_photos
    ? "Fill the item in: the model knows shapes, not outlines."
    : "Draw dark on light; it is sent as the training images look.";
  showAccuracy();
  showExamples();
  preparePaper();
}

function showClasses() {
  const names = model.class_names;
  const sentence = `It knows ${counted(names.length, "class", "classes")}`;
  const all = `${listed(names)}.`;
  $("classes").replaceChildren(
    names.length > MOST_SAID
      ? make("details", {}, make("summary", {}, sentence), all)
      : make("p", {}, `${sentence}: ${all}`),
  );
}

function showAccuracy() {
  const found = model.accuracy;
  $("accuracy").hidden = !found;
  if (!found) return;
  const [value, what, range] = $("accuracy").querySelectorAll("strong, span");
  value.textContent = percent(found.value);
  what.textContent = `accuracy on ${counted(found.n, "test image")}`;
  range.textContent = `95 % interval ${percent(found.low)} to ${percent(found.high)}`;
}

function showExamples() {
  $("examples").hidden = !model.examples.length;
  $("examples").querySelector("ul").replaceChildren(
    ...model.examples.map(({ label, image }) => {
      const button = make("button", { type: "button" }, make("img", { src: image, alt: "", draggable: false }), label);
      button.addEventListener("click", () => add([fileOf(image, `Example: ${label}`)]));
      return make("li", {}, button);
    }),
  );
}

/** A file from an image inside an address. */
function fileOf(address, name) {
  const [head, body] = address.split(",");
  const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
  return new File([bytes], name, { type: head.slice("data:".length, head.indexOf(";")) });
}

// Images on their way

/** Ask about files; cards hold their places. */
function add(files) {
  if (!files.length) return;
  const items = Array.from(files, (file) => ({ file, name: file.name || "image", card: newCard(file.name || "image") }));
  $("cards").prepend(...items.map((item) => item.card));
  $("nothing").hidden = true;
  $("forget").hidden = false;
  waiting.push(...items);
  reveal();
  work();
}

/** Bring results into sight where they are below the rest. */
function reveal() {
  if ($("results").getBoundingClientRect().top > innerHeight / 2) $("results").scrollIntoView();
}

/** Ask about all that waits, until there is an answer to everything, or trouble. */
async function work() {
  if (working) return;
  working = true;
  $("problem").textContent = "";
  $("again").hidden = true;
  $("forget").disabled = true; // until nothing is on its way
  const answered = [];
  try {
    if (!model) await introduce();
    while (waiting.length) {
      $("status").textContent = `Asking about ${counted(waiting.length, "image")} …`;
      const batch = await nextBatch();
      if (batch.length) answered.push(...(await classify(batch)));
      reveal(); // on a phone, there is room to scroll only once cards are full
    }
    $("status").textContent = summary(answered);
  } catch (trouble) {
    if (!(trouble instanceof Trouble)) throw trouble;
    $("status").textContent = waiting.length ? `${counted(waiting.length, "image")} not answered yet.` : "";
    $("problem").textContent = trouble.message;
    $("again").hidden = false;
  } finally {
    working = false;
    $("forget").disabled = false;
  }
}

function summary(answered) {
  const failed = answered.filter((one) => one.error).length;
  if (answered.length === 1) return failed ? "" : spoken(answered[0]);
  if (!answered.length) return "";
  return `${counted(answered.length - failed, "image")} answered` + (failed ? `, ${failed} not.` : ".");
}

const spoken = (found) => (found.sure ? "" : "Not sure: perhaps ") + `${found.label}, ${percent(found.confidence)}`;

/** The images of the next request, made ready; what cannot be sent is said on its card. */
async function nextBatch() {
  const limits = model.limits;
  const batch = [];
  let bytes = 0;
  while (batch.length < Math.min(BATCH, limits.images) && batch.length < waiting.length) {
    const item = waiting[batch.length];
    item.blob ??= await prepared(item.file);
    const problem = !item.blob
      ? "It cannot be read. Was it moved, or is it a folder?"
      : item.blob.size + OVERHEAD > limits.body_bytes &&
        `It has ${megabytes(item.blob.size)}, and this server takes ${megabytes(limits.body_bytes)} at once. Make it smaller.`;
    if (problem) {
      waiting.splice(batch.length, 1);
      fail(item, problem);
      continue;
    }
    bytes += item.blob.size + OVERHEAD;
    if (bytes > limits.body_bytes) break;
    batch.push(item);
  }
  return batch;
}

/** The bytes of a file, so that it may change meanwhile; a large image made smaller; null if unreadable. */
async function prepared(file) {
  try {
    return await shrunk(new Blob([await file.arrayBuffer()], { type: file.type }));
  } catch {
    return null;
  }
}

/** Small images stay as they are, and so does what this browser cannot open. */
async function shrunk(blob) {
  const bitmap = await createImageBitmap(blob).catch(() => null);
  const scale = bitmap ? LONGEST_SIDE / Math.max(bitmap.width, bitmap.height) : 1;
  if (scale >= 1) return blob;
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(Math.round(side * scale), 1));
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  // Not toBlob: Chromium does that when it is idle, on a busy machine many seconds later.
  return fileOf(canvas.toDataURL(blob.type === "image/jpeg" ? "image/jpeg" : "image/png", 0.92), "");
}

/** Ask about a batch and fill its cards. */
async function classify(batch) {
  const form = new FormData();
  for (const { blob, name } of batch) form.append("files", blob, name);
  const response = await ask("/predict?explain=true", { method: "POST", body: form });
  const found = await content(response);
  checkTransient(response, found);
  waiting.splice(0, batch.length);
  if (!found.predictions) {
    const error = found.error ?? `The server refused this (status ${response.status}).`;
    $("problem").textContent = error;
    for (const item of batch) fail(item, error);
    return batch.map(() => ({ error }));
  }
  batch.forEach((item, index) => fill(item, found.predictions[index]));
  return found.predictions;
}

// Cards

function newCard(name) {
  const card = make("article", { className: "card waiting" }, make("p", {}, `${name}: waiting …`));
  card.setAttribute("aria-label", name);
  return card;
}

function fail(item, error) {
  item.card.className = "card doubtful";
  item.card.replaceChildren(
    make("p", { className: "soft small" }, item.name),
    make("p", { className: "warning" }, `No answer. ${error}`),
  );
  $("problem").textContent ||= `${item.name}: ${error}`;
}

/** Show an answer. */
function fill(item, found) {
  if (found.error) return fail(item, found.error);
  const { card } = item;
  card.className = found.sure && !found.unlike ? "card" : "card doubtful";
  card.replaceChildren(
    heading(found),
    make("p", { className: "soft small" }, item.name),
    ...doubts(found),
    make("div", { className: "parts" }, pictures(item, found), bars(found), explanation(card, found)),
  );
}

function heading(found) {
  if (!found.sure) return make("h3", {}, "Not sure");
  return make("h3", {}, `${found.label} `, make("span", {}, percent(found.confidence)));
}

function doubts(found) {
  const lines = [];
  if (found.unlike) {
    lines.push(make("p", { className: "warning" }, "Unlike what the model was trained on: do not rely on the answer."));
  }
  if (!found.sure) {
    const least = model.threshold ? `, and gives an answer only from ${percent(model.threshold)} on` : "";
    lines.push(make("p", {}, `Perhaps ${found.label}: the model is ${percent(found.confidence)} sure of it${least}.`));
  }
  return lines;
}

function pictures(item, found) {
  const [height, width] = model.img_shape;
  const parts = make("div", { className: "pictures" });
  const address = URL.createObjectURL(item.blob);
  addresses.push(address);
  const yours = make("img", { src: address, className: "yours", alt: "Your image" });
  const figure = make("figure", {}, yours, make("figcaption", {}, "your image"));
  // Shown only where it differs, and this browser can.
  figure.hidden = true;
  yours.addEventListener("load", () => {
    figure.hidden = yours.naturalWidth === width && yours.naturalHeight === height;
  });
  const seen = make("img", { src: found.image, alt: "The image as the model saw it" });
  const layers = make("div", { className: "layers" }, seen, ...(found.map ? [heat(found.map)] : []));
  parts.append(figure, make("figure", {}, layers, make("figcaption", {}, "as the model saw it")));
  return parts;
}

/** A map as a picture to lay over its image, with what it shows in words. */
function heat(map) {
  const canvas = make("canvas", { width: map[0].length, height: map.length });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Heat map. ${whereabouts(map)}`);
  const pixels = map.flat().flatMap((value) => [...HEAT, Math.round(255 * HEAT_OPACITY * value)]);
  canvas.getContext("2d").putImageData(new ImageData(Uint8ClampedArray.from(pixels), canvas.width), 0, 0);
  return canvas;
}

/** Where a map is strong, in words. */
function whereabouts(map) {
  const sums = Array(9).fill(0);
  map.forEach((row, y) =>
    row.forEach((value, x) => {
      sums[3 * Math.floor((3 * y) / map.length) + Math.floor((3 * x) / row.length)] += value;
    }),
  );
  const total = sums.reduce((sum, value) => sum + value);
  // Parts that have half as much again as they would if all had the same, the strongest first.
  const strong = [...sums.keys()].filter((k) => sums[k] > total / 6).sort((a, b) => sums[b] - sums[a]);
  if (!strong.length) return "No part of the image mattered much more than others.";
  return `What mattered lies mostly ${listed(strong.map((k) => PLACES[k]))} of the image.`;
}

function bars(found) {
  const classes = Object.entries(found.probabilities).sort(([, a], [, b]) => b - a);
  const few = classes.length > MANY ? MANY - 2 : MANY;
  const parts = make("div", { className: "bars" }, table("How probable the model finds each class", classes.slice(0, few)));
  parts.querySelector("tr").className = "first";
  const rest = classes.slice(few);
  if (rest.length) {
    const label = `${rest.length} more classes`;
    parts.append(make("details", {}, make("summary", {}, label), table(label, rest)));
  }
  return parts;
}

function table(caption, classes) {
  const rows = classes.map(([name, share]) => {
    const filled = make("div", {});
    filled.style.width = `${100 * share}%`;
    const bar = make("td", {}, make("div", { className: "share" }, filled));
    bar.setAttribute("aria-hidden", "true");
    return make("tr", {}, make("th", { scope: "row" }, name), bar, make("td", {}, percent(share)));
  });
  return make("table", {}, make("caption", {}, caption), make("tbody", {}, ...rows));
}

function explanation(card, found) {
  const parts = make("div", { className: "said" });
  if (found.map) {
    const box = make("input", { type: "checkbox", checked: true, id: `map-${++nCards}` });
    box.addEventListener("change", () => {
      card.querySelector(".layers canvas").hidden = !box.checked;
    });
    const label = make("label", { htmlFor: box.id }, " Show what mattered.");
    const meaning = ` Where it is orange, covering the image makes the model less sure of ${found.label}. `;
    parts.append(make("p", {}, box, label, meaning, whereabouts(found.map)));
  }
  if (found.steps.length) {
    const steps = listed(found.steps.map((step) => PLAIN[step] ?? step));
    parts.append(make("p", {}, `Before the model saw it, the server ${steps}.`));
  }
  return parts;
}

function forget() {
  waiting.length = 0;
  $("cards").replaceChildren();
  for (const address of addresses.splice(0)) URL.revokeObjectURL(address);
  $("status").textContent = "";
  if (model) {
    $("problem").textContent = "";
    $("again").hidden = true;
  }
  $("forget").hidden = true;
  $("nothing").hidden = false;
  $("choose").focus();
}

// Drawing: dark on light, as on paper

function preparePaper() {
  const [height, width] = model.img_shape;
  const scale = PAPER / Math.max(height, width);
  Object.assign($("paper"), { width: Math.round(width * scale), height: Math.round(height * scale) });
  wipe();
}

function wipe() {
  const context = $("paper").getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, $("paper").width, $("paper").height);
  drawn = false;
}

function draw(event) {
  if (!(event.buttons & 1)) return;
  const paper = $("paper");
  const context = paper.getContext("2d");
  const { left, top, width } = paper.getBoundingClientRect();
  const scale = paper.width / width;
  const place = ({ clientX, clientY }) => [(clientX - left) * scale, (clientY - top) * scale];
  context.lineWidth = Number($("brush").value);
  context.lineCap = context.lineJoin = "round";
  if (event.type === "pointerdown") {
    paper.setPointerCapture(event.pointerId);
    context.beginPath();
    context.moveTo(...place(event));
  }
  const between = event.getCoalescedEvents?.() ?? [];
  for (const one of [...between, event]) context.lineTo(...place(one));
  context.stroke();
  drawn = true;
}

/** Whether drawings must be negated to look like the training images. */
async function isLightOnDark() {
  if (model.takes_photos) return false; // the server finds out and does it
  if (!model.examples.length) return model.img_shape[2] === 1;
  const image = make("img", { src: model.examples[0].image });
  await image.decode();
  const context = make("canvas", {}).getContext("2d");
  context.drawImage(image, 0, 0);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  return red + green + blue < 384;
}

async function classifyDrawing() {
  if (!drawn) {
    $("problem").textContent = "Draw something first.";
    return;
  }
  const { width, height } = $("paper");
  const copy = make("canvas", { width, height });
  const context = copy.getContext("2d");
  context.drawImage($("paper"), 0, 0);
  if (await isLightOnDark()) {
    context.globalCompositeOperation = "difference";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
  }
  add([fileOf(copy.toDataURL(), "Drawing")]);
}

// What a person does

/** Take what was dropped or pasted. */
function receive(event, data) {
  event.preventDefault();
  document.body.classList.remove("dragging");
  if (data.files.length) add(data.files);
  else $("problem").textContent = "That is no image file. Save the image, then choose the file.";
}

function listen() {
  for (const [button, input] of [["choose", "files"], ["shoot", "camera"]]) {
    $(button).addEventListener("click", () => $(input).click());
    $(input).addEventListener("change", () => {
      add([...$(input).files]);
      $(input).value = ""; // so that the same file can be chosen again
    });
  }
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dragging");
  });
  addEventListener("drop", (event) => receive(event, event.dataTransfer));
  addEventListener("paste", (event) => {
    if (event.target !== $("token")) receive(event, event.clipboardData);
  });
  for (const kind of ["pointerdown", "pointermove"]) $("paper").addEventListener(kind, draw);
  $("classify").addEventListener("click", classifyDrawing);
  $("wipe").addEventListener("click", wipe);
  $("again").addEventListener("click", () => {
    $("results-heading").focus(); // the button goes
    work();
  });
  $("forget").addEventListener("click", forget);
  $("ask-token").querySelector("form").addEventListener("submit", takeToken);
  $("no-token").addEventListener("click", () => $("ask-token").close());
}

try {
  token = sessionStorage.getItem("token") ?? "";
} catch {
  // see remember()
}
listen();
work();
