// Sample: a sheet of pictures, one seed each.

import { html, nothing } from "../vendor/lit-html.js";
import { dataUrl, postJson } from "./api.js";
import { addStop, fetchPicture, keep } from "./keep.js";
import { button, choice, copyMenu, field, grid, newest, notes, pixelClass, report, slider, soon, toItem } from "./parts.js";
import { chosenModel, redraw, samplers, say, state, update } from "./store.js";

const SEEDS = 2 ** 32;
const mine = () => state.sample;
const model = () => chosenModel(mine().model);
const set = (patch) => { update("sample", patch); soon("sample", 120, enter); };
const fresh = () => crypto.getRandomValues(new Uint32Array(1))[0];

export function load(query) {
  const number = (name, otherwise) => (query.has(name) && Number.isFinite(Number(query.get(name))) ? Number(query.get(name)) : otherwise);
  state.sample = {
    model: chosenModel(query.get("model"))?.name, seed: number("seed", 1) % SEEDS, n: number("n", 24), truncation: number("truncation", 1),
    label: query.get("label") ?? "", locked: query.has("locked"), at: 0, data: state.sample?.data ?? [], timing: null,
  };
}

export function params() {
  const { seed, n, truncation, label, locked } = mine();
  return { model: model()?.name, seed, n, truncation: truncation === 1 ? "" : truncation, label, locked: locked ? 1 : "" };
}

const body = () => {
  const { seed, n, truncation, label } = mine();
  return { model: model().name, n, seed, truncation: truncation === 1 ? undefined : truncation, label: label || undefined };
};
const request = () => ({ path: "/sample", op: "sample", body: body(), accept: "image/png", out: "sheet.png" });

export async function enter() {
  if (!mine()) load(new URLSearchParams());
  if (!model()) return;
  const key = JSON.stringify(body());
  if (mine().shown === key) return;
  update("sample", { busy: true });
  const started = performance.now();
  try {
    const answer = await postJson("/sample", { ...body(), response_format: "b64_json" }, { signal: newest("sample") });
    const same = mine().at < answer.data.length ? mine().at : 0;
    update("sample", { data: answer.data, timing: answer.timing_ms, notes: answer.notes, shown: key, busy: false, at: same, took: performance.now() - started, provider: answer.provider });
    document.getElementById("live").textContent = `${answer.data.length} pictures, seeds from ${mine().seed}`;
  } catch (error) {
    if (error.name !== "AbortError") update("sample", { busy: false });
    report(error);
  }
}

function reseed() {
  if (mine().locked) return say("The seed is locked; press L to unlock it");
  set({ seed: fresh() });
}
const step = (by) => set({ seed: (mine().seed + by + SEEDS) % SEEDS });
const lock = () => { update("sample", { locked: !mine().locked }); say(mine().locked ? "Seed locked" : "Seed unlocked"); };
const current = () => mine().data[mine().at];
const save = async () => { if (current() && await keep(current(), model())) redraw(); };

export const keys = {
  " ": reseed, "[": () => step(-1), "]": () => step(1), l: lock, s: save,
  d: () => current() && fetchPicture(current()), w: () => current() && addStop(current().seed, model()),
};

export function view() {
  if (!model()) return html`<div class="empty"><h1>No bundle here makes pictures of its own</h1><p>The bundles of this server sharpen photographs: see Sharpen.</p></div>`;
  const { data, at, busy } = mine();
  const items = data.map((entry) => toItem(entry, `seed ${entry.seed}`));
  return html`<h1 class="unseen">Sample</h1><div class="split"><aside class="panel" aria-label="What to make">${controls()}</aside>
    <section class="stage" aria-label="Pictures" aria-busy=${busy ? "true" : "false"}>
      <div class="bar"><p class="status">${status()}</p><span class="bar-right">${copyMenu(request())}</span></div>
      ${grid({ id: "sheet", label: "Pictures of this sheet", items, at, pick: (k) => update("sample", { at: k }), size: size(items) + (busy ? " busy" : "") })}
      ${notes(mine().notes)}</section>
    <aside class="inspector panel" aria-label="The picture in focus">${current() ? inspector(current()) : nothing}</aside></div>`;
}

const size = (items) => (items.length <= 9 ? "large" : items.length <= 36 ? "" : "small");

function status() {
  const { data, took, provider, busy } = mine();
  if (!data.length) return busy ? "Drawing …" : "";
  return html`<b>${data.length === 1 ? "1 picture" : `${data.length} pictures`}</b> in ${Math.round(took)} ms<span class="wide"> · ${provider?.replace("ExecutionProvider", "")}</span>`;
}

function controls() {
  const m = mine();
  return html`
    <div class="dice">${button("New seeds", reseed, { ico: "dice", kind: "main", keys: "Space", disabled: m.locked })}</div>
    ${field("model", "Model", model().description || "A bundle this server has loaded.", choice("model", samplers().map((x) => [x.name, x.name]), model().name, (v) => set({ model: v, label: "", at: 0 })))}
    ${field("seed", "Seed", "One seed, one picture, always: the first of this sheet.", html`<span class="row"><input id="seed" type="number" min="0" max=${SEEDS - 1} .value=${String(m.seed)} aria-describedby="seed-hint" ?readonly=${m.locked}
      @change=${(e) => set({ seed: Math.max(0, Math.min(SEEDS - 1, Math.trunc(Number(e.target.value) || 0))) })}>
      ${button("One seed down", () => step(-1), { ico: "minus", hidden: true, keys: "[" })}${button("One seed up", () => step(1), { ico: "plus", hidden: true, keys: "]" })}
      ${button("Lock the seed", lock, { ico: m.locked ? "lock" : "unlock", hidden: true, pressed: m.locked ? "true" : "false", keys: "L" })}</span>`)}
    ${field("count", "Pictures", "Seeds count upwards from the first.", choice("count", [1, 4, 9, 16, 24, 36, 64, 100].map((v) => [String(v), String(v)]), String(m.n), (v) => set({ n: Number(v), at: 0 })))}
    ${field("truncation", "Truncation", "Below 1 fainter and more alike, above 1 more daring.", slider("truncation", { min: 0, max: 2, step: 0.05, value: m.truncation, on: (v) => set({ truncation: v }) }))}
    ${model().labels ? field("label", "Label", "Which class to draw; any takes them in turn.", choice("label", [["", "any"], ...model().labels.map((l) => [l, l])], m.label, (v) => set({ label: v }))) : nothing}
    `;
}

function inspector(entry) {
  return html`<img class="portrait ${pixelClass(entry)}" src=${dataUrl(entry)} alt="Seed ${entry.seed}, large">
    <h2>seed ${entry.seed}</h2><p class="hint">${entry.label ? html`${entry.label} · ` : nothing}${entry.width} × ${entry.height} · <span class="mono">${entry.recipe?.model ?? ""}</span></p>
    <div class="actions">${button("Save", save, { ico: "save", keys: "S" })}${button("Download", () => fetchPicture(entry), { ico: "down", keys: "D" })}
    ${button("To the walk", () => addStop(entry.seed, model()), { ico: "walk", keys: "W" })}</div>`;
}
