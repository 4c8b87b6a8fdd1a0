// Scroll a series with window and level. Every picture is one WADO-RS rendered request; the newest wish wins.
const viewer = document.querySelector(".viewer");
const find = (selector) => viewer.querySelector(selector);
const picture = find(".frame");
const slider = find(".slice");
const width = find(".width");
const level = find(".level");
const preset = find(".preset");
let places = [];
let loading = false;
let wanted = "";

function address(index) {
  const [series, instance, frame] = places[index];
  const query = width.value && level.value ? `?window=${level.value},${width.value},linear` : "";
  return `${viewer.dataset.base}/series/${series}/instances/${instance}/frames/${frame}/rendered${query}`;
}

function show() {
  if (!places.length) return;
  const index = Number(slider.value) - 1;
  const said = `Image ${index + 1} of ${places.length}`;
  find(".position").textContent = `${index + 1} / ${places.length}`;
  find(".windowed").textContent = width.value && level.value ? `W ${width.value}  L ${level.value}` : "";
  picture.alt = said;
  slider.setAttribute("aria-valuetext", said);
  wanted = address(index);
  if (!loading) load();
}

function load() {
  loading = true;
  picture.setAttribute("aria-busy", "true");
  const asked = wanted;
  const next = new Image();
  const done = (good) => {
    if (good) picture.src = asked;
    find(".problem").textContent = good ? "" : "This image cannot be shown.";
    loading = false;
    picture.setAttribute("aria-busy", "false");
    if (wanted !== asked) load();
  };
  next.onload = () => done(true);
  next.onerror = () => done(false);
  next.src = asked;
}

function choose(button) {
  for (const each of viewer.querySelectorAll("[data-series]")) each.setAttribute("aria-pressed", String(each === button));
  const frames = button.dataset.frames.split(" ").map(Number);
  places = button.dataset.instances.split(" ").flatMap((instance, index) =>
    Array.from({ length: frames[index] }, (_, frame) => [button.dataset.series, instance, frame + 1]));
  slider.max = places.length;
  slider.value = Math.ceil(places.length / 2);
  slider.disabled = places.length < 2;
  for (const each of [preset, width, level]) each.value = "";
  find(".presets").hidden = button.dataset.modality !== "CT";
  show();
}

function move(to) {
  slider.value = to;
  show();
}

viewer.addEventListener("click", (event) => {
  const button = event.target.closest("[data-series]");
  if (button) choose(button);
});
slider.addEventListener("input", show);
for (const field of [width, level]) field.addEventListener("change", () => { preset.value = ""; show(); });
preset.addEventListener("change", () => { [level.value, width.value] = preset.value ? preset.value.split(",") : ["", ""]; show(); });
find(".reset").addEventListener("click", () => { for (const each of [preset, width, level]) each.value = ""; show(); });
picture.addEventListener("wheel", (event) => {
  event.preventDefault();
  move(Number(slider.value) + Math.sign(event.deltaY));
}, { passive: false });
picture.addEventListener("keydown", (event) => {
  const now = Number(slider.value);
  const targets = {
    ArrowDown: now + 1, ArrowRight: now + 1, ArrowUp: now - 1, ArrowLeft: now - 1,
    PageDown: now + 10, PageUp: now - 10, Home: 1, End: Number(slider.max),
  };
  if (event.key in targets) { event.preventDefault(); move(targets[event.key]); }
});
let start = null;
picture.addEventListener("pointerdown", (event) => {
  picture.setPointerCapture(event.pointerId);
  const stored = find("[aria-pressed=true]").dataset;
  start = { x: event.clientX, y: event.clientY, width: Number(width.value || stored.width), level: Number(level.value || stored.level) };
  start.step = Math.max(start.width / 200, 0.5); // across the picture: from nothing to a multiple of what it was
});
picture.addEventListener("pointermove", (event) => {
  if (!start) return;
  preset.value = "";
  width.value = Math.max(1, Math.round(start.width + (event.clientX - start.x) * start.step));
  level.value = Math.round(start.level + (event.clientY - start.y) * start.step);
  show();
});
for (const kind of ["pointerup", "pointercancel"]) picture.addEventListener(kind, () => { start = null; });
picture.addEventListener("dragstart", (event) => event.preventDefault());

const first = find("[data-series]");
if (first) choose(first);
