// Sharpen: a photograph goes in, every level arrives as soon as it is drawn, one level can be drawn again alone.

import { html, nothing } from "../vendor/lit-html.js";
import { dataUrl, download, events, getBlob } from "./api.js";
import { formFields, given } from "./copy.js";
import { button, choice, copyMenu, empty, field, newest, notes, report, slider, soon } from "./parts.js";
import { residual } from "./residual.js";
import { redraw, samplers, say, sharpeners, state, update } from "./store.js";

const mine = () => state.sharpen;
const model = () => sharpeners().find((m) => m.name === mine().model) ?? sharpeners().find((m) => m.upsampling.kind === "any-size") ?? sharpeners()[0];
const anySize = () => model().upsampling.kind === "any-size";
const set = (patch) => { update("sharpen", patch); soon("sharpen", 150, run); };
const random = () => crypto.getRandomValues(new Uint32Array(1))[0];

export function load(query) {
  const number = (name, otherwise) => (query.has(name) && Number.isFinite(Number(query.get(name))) ? Number(query.get(name)) : otherwise);
  const found = state.sharpen ?? { file: null, levels: [], noise: 1, faithful: false, factor: 4, seed: random() };
  const seeds = query.get("seeds")?.split(",").map(Number);
  state.sharpen = { ...found, model: query.get("model") ?? found.model, factor: number("factor", found.factor), start: number("start", found.start), seed: number("seed", found.seed), noise: number("noise", found.noise), faithful: query.has("faithful") ? query.get("faithful") === "1" : found.faithful, seeds: seeds ?? found.seeds };
}

export const params = () => {
  const m = mine();
  return model() ? { model: model().name, factor: anySize() ? m.factor : "", start: anySize() ? "" : m.start, seed: m.seeds ? "" : m.seed, seeds: m.seeds?.join(","), noise: m.noise === 1 ? "" : m.noise, faithful: m.faithful ? 1 : "" } : {};
};

const body = () => given({
  model: model().name, factor: anySize() ? mine().factor : undefined, start_size: anySize() ? undefined : mine().start,
  seed: mine().seeds ? undefined : mine().seed, level_seeds: mine().seeds, noise: mine().noise === 1 ? undefined : mine().noise, faithful: mine().faithful || undefined,
});
const request = () => (mine().file ? { path: "/upsample", op: "upsample", body: body(), file: mine().file.name, accept: "image/png", out: "sharpened.png" } : null);

export function enter() {
  if (!mine()) load(new URLSearchParams());
  if (mine().file && mine().stale) run();
}

/** A new photograph, from wherever it came. */
export function take(file) {
  if (!mine()) load(new URLSearchParams());
  URL.revokeObjectURL(mine().before ?? "");
  Object.assign(mine(), { file, before: URL.createObjectURL(file), levels: [], entry: null, seeds: undefined, stale: true, residuals: {} });
  say(`${file.name} taken`);
}

async function run() {
  if (!mine().file || !model()) return;
  const form = new FormData();
  form.append("image", mine().file, mine().file.name);
  formFields(body()).forEach(([k, v]) => form.append(k, v));
  update("sharpen", { busy: true, stale: false, fresh: [], entry: null, notes: [], residuals: {} });
  try {
    for await (const { event, data } of events("POST", "/upsample", { form, signal: newest("sharpen") })) {
      if (event === "level") arrive(data);
      else if (event === "entry") update("sharpen", { entry: { src: dataUrl(data), width: data.size[1], height: data.size[0] } });
      else if (event === "error") throw new Error(data.detail);
      else if (event === "result") update("sharpen", { notes: data.notes });
    }
    update("sharpen", { busy: false, levels: mine().fresh, at: mine().fresh.length - 1 });
    if (mine().residual) await drawResiduals();
  } catch (error) {
    if (error.name !== "AbortError") update("sharpen", { busy: false, levels: mine().fresh });
    report(error);
  }
}

function arrive(data) {
  const [height, width] = data.size;
  const fresh = [...mine().fresh, { src: dataUrl(data), width, height }];
  update("sharpen", { fresh, levels: fresh, at: fresh.length - 1 });
  document.getElementById("live").textContent = `Level ${data.level + 1}: ${width} by ${height}`;
}

const reroll = () => set({ seed: random(), seeds: undefined });
function rerollLevel(k) {
  const seeds = mine().seeds ?? mine().levels.map(() => mine().seed);
  say(`Level ${k + 1} drawn again, the others keep their seeds`);
  set({ seeds: seeds.map((seed, i) => (i === k ? random() : seed)) });
}

async function example() {
  const from = samplers()[0];
  try {
    const blob = await getBlob("GET", `/images/${from.name}/${random() % 1000}.png`, { accept: "image/png" });
    take(new File([blob], `${from.name}.png`, { type: "image/png" }));
    run();
  } catch (error) { report(error); }
}

/** What the first level was given: a bundle of fixed sizes makes the picture small before. */
const first = () => mine().entry?.src ?? mine().before;

async function toggleResidual() {
  update("sharpen", { residual: !mine().residual });
  if (mine().residual) await drawResiduals();
}

async function drawResiduals() {
  const { levels, residuals } = mine();
  for (let k = 0; k < levels.length; k += 1) residuals[k] ??= await residual(k ? levels[k - 1].src : first(), levels[k]);
  redraw();
}

const keep = () => { const l = mine().levels[mine().at]; if (l) download(l.src, `${mine().file.name.replace(/\.\w+$/, "")}-${l.width}.png`); };
export const keys = { " ": () => mine().file && reroll(), d: keep, r: () => mine().levels.length && toggleResidual() };

export function view() {
  if (!model()) return empty("No bundle here sharpens pictures", "Bundles of the LAPGAN family do. Put one into the bundle folder; it is picked up within seconds.");
  const { file, levels, busy } = mine();
  return html`<h1 class="unseen">Sharpen</h1><div class="split two"><section class="stage" aria-label="The picture" aria-busy=${busy ? "true" : "false"}>
    <div class="bar"><p class="status">${file ? html`<b>${file.name}</b>${busy ? " · drawing …" : ""}` : "Drop, paste or pick a photograph"}</p>${copyMenu(request())}</div>
    ${file ? html`${compare()}${strip()}` : drop()}
    <p class="caution">Detail is invented, not recovered: the network draws what could be there.</p>${notes(mine().notes)}</section>
    <aside class="panel" aria-label="How to sharpen">${levels.length || file ? html`<div class="dice">${button("Draw again", reroll, { ico: "dice", kind: "main", keys: "Space" })}</div>` : nothing}${controls()}</aside></div>`;
}

const picker = (label) => html`<label class="button ${mine().file ? "" : "main"} pick">${label}<input class="unseen" type="file" accept="image/*" @change=${(e) => { if (e.target.files[0]) { dispatchEvent(new CustomEvent("take", { detail: e.target.files[0] })); e.target.value = ""; } }}></label>`;
const drop = () => html`<div class="empty drop"><h2>Drop a photograph anywhere</h2><p>Or paste one, or choose a file. It goes to this server and nowhere else, and is not kept.</p><div class="actions centred">${picker("Choose a file")}${samplers().length ? button("Use a picture of this server", example) : nothing}</div></div>`;

function compare() {
  const { levels, at, residual: on, residuals } = mine();
  const level = levels[at];
  if (!level) return html`<div class="screen"><img src=${first()} alt="Your picture"></div>`;
  if (on && residuals[at]) return html`<div class="screen"><img class="crisp" src=${residuals[at]} alt="What level ${at + 1} added, around grey"></div>`;
  return html`<div class="compare"><img class="crisp" src=${level.src} alt="Level ${at + 1}: ${level.width} by ${level.height}"><img class="crisp over" src=${first()} alt="Your picture, enlarged">
    <input type="range" min="0" max="100" step="0.5" aria-label="Before and after" @input=${(e) => e.target.parentElement.style.setProperty("--cut", `${e.target.value}%`)}><span class="tag left">before</span><span class="tag right">after</span></div>`;
}

function strip() {
  const { levels, at, before, entry } = mine();
  return html`<ol class="film" aria-label="Levels"><li><figure><img class="crisp" src=${before} alt="Your picture"><figcaption>yours</figcaption></figure></li>${entry ? html`<li><figure><img class="crisp" src=${entry.src} alt="Your picture made small"><figcaption>${entry.width} × ${entry.height}</figcaption></figure></li>` : nothing}
    ${levels.map((l, k) => html`<li><button type="button" aria-current=${k === at ? "true" : nothing} aria-label="Level ${k + 1}: ${l.width} by ${l.height}" @click=${() => update("sharpen", { at: k })}><img class="crisp" src=${l.src} alt=""><span>${l.width} × ${l.height}</span></button>${button(`Draw level ${k + 1} again`, () => rerollLevel(k), { ico: "redo", hidden: true, kind: "quiet small" })}</li>`)}</ol>`;
}

function controls() {
  const m = mine();
  const starts = model().upsampling.start_sizes ?? [];
  return html`${field("sharpen-model", "Model", model().description, choice("sharpen-model", sharpeners().map((x) => [x.name, x.name]), model().name, (v) => set({ model: v, seeds: undefined, levels: [], start: undefined })))}
    ${anySize() ? field("factor", "Enlarge", "Each doubling is one level.", choice("factor", [2, 4, 8].filter((f) => f <= (model().upsampling.max_factor ?? 8)).map((f) => [String(f), `× ${f}`]), String(m.factor), (v) => set({ factor: Number(v), seeds: undefined })))
    : starts.length > 1 ? field("start", "Start from", "Your picture is made this small first; the levels do the rest.", choice("start", [["", "as fits"], ...starts.map((s) => [String(s), `${s} pixels`])], String(m.start ?? ""), (v) => set({ start: v ? Number(v) : undefined, seeds: undefined }))) : nothing}
    ${field("noise", "Noise", "0 draws the average detail, 1 a particular one.", slider("noise", { min: 0, max: 2, step: 0.05, value: m.noise, on: (v) => set({ noise: v }) }))}
    <div class="field"><label class="check"><input type="checkbox" .checked=${m.faithful} @change=${(e) => set({ faithful: e.target.checked })}>Faithful</label><p class="hint">Scaled back down, the result is your picture within one level of 255.</p></div>
    ${m.file ? html`<div class="actions">${button("Download", keep, { ico: "down", keys: "D", disabled: !m.levels.length })}${button("Residual", toggleResidual, { pressed: String(Boolean(m.residual)), keys: "R", disabled: !m.levels.length })}${picker("Another file")}</div>` : nothing}`;
}
