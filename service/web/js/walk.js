// Walk: between any pictures; the frames are fetched once, then scrubbing costs nothing.

import { html, nothing } from "../vendor/lit-html.js";
import { dataUrl, download, getBlob, postJson } from "./api.js";
import { given } from "./copy.js";
import { button, choice, copyMenu, empty, field, newest, notes, pixelClass, report, slider, soon } from "./parts.js";
import { chosenModel, redraw, samplers, say, state, update } from "./store.js";

const mine = () => state.walk;
const model = () => chosenModel(mine().model);
const set = (patch) => { update("walk", patch); soon("walk", 120, enter); };
const toStop = (text) => (/^\d{1,10}$/.test(text) ? Number(text) : text);
const random = () => crypto.getRandomValues(new Uint32Array(1))[0];
let timer = null;

export function load(query) {
  const found = state.walk ?? {};
  const asked = query.get("stops")?.split(",").filter(Boolean).map(toStop);
  const name = chosenModel(query.get("model") ?? found.model)?.name;
  const kept = name === found.model ? found.stops : undefined;
  state.walk = { frames: 48, loop: true, fps: 12, at: 0, data: [], ...found, model: name, stops: asked ?? kept ?? [] };
  if (query.has("frames")) state.walk.frames = Math.max(2, Math.min(240, Number(query.get("frames")) || 48));
  if (query.has("loop")) state.walk.loop = query.get("loop") === "1";
}

export const params = () => ({ model: model()?.name, stops: mine().stops.join(","), frames: mine().frames, loop: mine().loop ? 1 : 0 });

const body = () => ({ model: model().name, stops: mine().stops, frames: Math.max(mine().frames, mine().stops.length), loop: mine().loop });
const request = () => (mine().stops.length > 1 ? { path: "/interpolate", op: "interpolate", body: body(), accept: "image/webp", out: "walk.webp" } : null);

export async function enter() {
  if (!mine() || !mine().data) load(new URLSearchParams());
  if (!model() || mine().stops.length < 2) return redraw();
  const key = JSON.stringify(body());
  if (mine().shown === key) return;
  update("walk", { busy: true });
  try {
    const answer = await postJson("/interpolate", { ...body(), response_format: "b64_json" }, { signal: newest("walk") });
    const frames = answer.data.map((entry) => ({ src: dataUrl(entry), width: entry.width }));
    update("walk", { data: frames, marks: answer.stops, method: answer.method, notes: answer.notes, shown: key, busy: false, at: Math.min(mine().at, frames.length - 1) });
    document.getElementById("live").textContent = `${frames.length} frames ready`;
  } catch (error) {
    if (error.name !== "AbortError") update("walk", { busy: false });
    report(error);
  }
}

function play() {
  if (timer) { clearInterval(timer); timer = null; return redraw(); }
  if (!mine().data.length) return;
  timer = setInterval(() => {
    if (state.view !== "walk" || !mine().data.length) { clearInterval(timer); timer = null; return; }
    update("walk", { at: (mine().at + 1) % mine().data.length });
  }, 1000 / mine().fps);
  redraw();
}

const move = (by) => { const n = mine().data.length; if (n) update("walk", { at: (mine().at + by + n) % n }); };
const remove = (k) => set({ stops: mine().stops.filter((_, i) => i !== k), data: mine().stops.length > 2 ? mine().data : [] });
const three = () => set({ stops: [random(), random(), random()] });

function add(event) {
  event.preventDefault();
  const text = event.target.stop.value.trim();
  if (!text) return;
  event.target.reset();
  set({ stops: [...mine().stops, toStop(text)] });
}

async function fetchMoving(kind) {
  const side = model().image.width;
  const json = given({ ...body(), fps: mine().fps, scale: side < 96 ? 4 : 1 });
  try {
    download(await getBlob("POST", "/interpolate", { json, accept: `image/${kind}` }), `${model().name}-walk.${kind}`);
    say(`${kind.toUpperCase()} saved`);
  } catch (error) { report(error); }
}

export const keys = {
  p: play, " ": play, ArrowRight: () => move(1), ArrowLeft: () => move(-1), Home: () => update("walk", { at: 0 }),
  End: () => move(mine().data.length - 1 - mine().at), d: () => mine().data.length && fetchMoving("gif"),
};

export function view() {
  if (!model()) return empty("No bundle here has a space to walk through", "The bundles of this server sharpen photographs: see Sharpen.");
  const { data, at, stops, marks, busy } = mine();
  const frame = data[at];
  return html`<h1 class="unseen">Walk</h1><div class="split two"><section class="stage" aria-label="The walk" aria-busy=${busy ? "true" : "false"}>
    <div class="bar"><p class="status">${frame ? html`<b>Frame ${at + 1}</b> of ${data.length} · ${mine().method}` : "A walk needs two pictures"}</p>${copyMenu(request())}</div>
    ${frame && stops.length > 1 ? html`<div class="screen"><img class=${pixelClass(frame)} src=${frame.src} alt=${`Frame ${at + 1} of the walk`}></div>
      <div class="scrub">${button(timer ? "Pause" : "Play", play, { ico: timer ? "pause" : "play", hidden: true, keys: "P" })}
      <input type="range" id="frame" aria-label="Frame" min="0" max=${data.length - 1} .value=${String(at)} @input=${(e) => update("walk", { at: Number(e.target.value) })}></div>
      <ol class="film" aria-label="Stops">${(marks ?? []).map((k, i) => html`<li><button type="button" aria-current=${k === at ? "true" : nothing} aria-label="Stop ${i + 1}: ${stops[i] ?? ""}" @click=${() => update("walk", { at: k })}><img class=${pixelClass(data[k] ?? frame)} src=${(data[k] ?? frame).src} alt=""><span>${stops[i] ?? ""}</span></button></li>`)}</ol>`
    : empty("Where to?", "Press W on pictures of Sample or Shelf, write seeds or saved names here, or begin with three pictures drawn at random.", button("Three pictures", three, { ico: "dice", kind: "main" }))}
    ${notes(mine().notes)}</section>
    <aside class="panel" aria-label="What to walk through">
    ${field("walk-model", "Model", "A walk stays inside one bundle.", choice("walk-model", samplers().map((m) => [m.name, m.name]), model().name, (v) => set({ model: v, stops: [], data: [], shown: "" })))}
    <div class="field"><p class="label" id="stops-label">Stops</p><ol class="stops" aria-labelledby="stops-label">${stops.map((s, k) => html`<li><span class="mono">${s}</span>${button(`Remove stop ${k + 1}`, () => remove(k), { ico: "close", hidden: true, kind: "quiet small" })}</li>`)}</ol>
      <form class="row" @submit=${add}><label class="unseen" for="stop">Add a stop</label><input id="stop" name="stop" autocomplete="off" placeholder="seed or saved name">${button("Add the stop", (e) => e.target.closest("form").requestSubmit(), { ico: "plus", hidden: true })}</form><p class="hint">Numbers are seeds; anything else is a name on the shelf, or an expression.</p></div>
    ${field("frames", "Frames", "More frames, smaller steps.", slider("frames", { min: 8, max: 120, step: 4, value: mine().frames, on: (v) => set({ frames: v }) }))}
    ${field("fps", "Speed", "Frames a second, here and in the export.", slider("fps", { min: 2, max: 30, step: 1, value: mine().fps, on: (v) => { update("walk", { fps: v }); if (timer) { play(); play(); } } }))}
    <div class="field"><label class="check"><input type="checkbox" .checked=${mine().loop} @change=${(e) => set({ loop: e.target.checked })}>Back to the first</label><p class="hint">A loop has no seam.</p></div>
    <div class="actions">${["gif", "webp"].map((kind) => button(`Save ${kind.toUpperCase()}`.replace("WEBP", "WebP"), () => fetchMoving(kind), { ico: "down", disabled: stops.length < 2 }))}</div></aside></div>`;
}
