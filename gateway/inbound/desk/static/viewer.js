// Scroll a series with window and level. Every picture is one WADO-RS rendered request; the newest wish wins.
const viewer = document.querySelector(".viewer");
const picture = viewer.querySelector(".frame");
const slider = viewer.querySelector(".slice");
const position = viewer.querySelector(".position");
const width = viewer.querySelector(".width");
const level = viewer.querySelector(".level");
let places = [];
let loading = false;
let wanted = "";

function address(index) {
  const [series, instance, frame] = places[index];
  const query = width.value && level.value ? `?window=${level.value},${width.value},linear` : "";
  return `${viewer.dataset.base}/series/${series}/instances/${instance}/frames/${frame}/rendered${query}`;
}

function show() {
  const index = Number(slider.value) - 1;
  position.textContent = `${index + 1} of ${places.length}`;
  picture.alt = `Image ${index + 1} of ${places.length}`;
  wanted = address(index);
  if (!loading) load();
}

function load() {
  loading = true;
  const asked = wanted;
  const next = new Image();
  const done = (good) => {
    if (good) picture.src = asked;
    loading = false;
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
  show();
}

function move(by) {
  slider.value = Number(slider.value) + by;
  show();
}

viewer.addEventListener("click", (event) => {
  const button = event.target.closest("[data-series]");
  if (button) choose(button);
});
slider.addEventListener("input", show);
for (const field of [width, level]) field.addEventListener("change", show);
viewer.querySelector(".reset").addEventListener("click", () => { width.value = ""; level.value = ""; show(); });
picture.addEventListener("wheel", (event) => { event.preventDefault(); move(Math.sign(event.deltaY)); }, { passive: false });
picture.addEventListener("keydown", (event) => {
  const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10 };
  if (event.key in steps) { event.preventDefault(); move(steps[event.key]); }
});
let start = null;
picture.addEventListener("pointerdown", (event) => {
  picture.setPointerCapture(event.pointerId);
  start = { x: event.clientX, y: event.clientY, width: Number(width.value || 400), level: Number(level.value || 40) };
});
picture.addEventListener("pointermove", (event) => {
  if (!start) return;
  width.value = Math.max(1, Math.round(start.width + (event.clientX - start.x) * 4));
  level.value = Math.round(start.level + (event.clientY - start.y) * 2);
  show();
});
for (const kind of ["pointerup", "pointercancel"]) picture.addEventListener(kind, () => { start = null; });
picture.addEventListener("dragstart", (event) => event.preventDefault());

const first = viewer.querySelector("[data-series]");
if (first) choose(first);
