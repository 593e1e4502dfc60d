// The equation bar: stacks of latents added and subtracted, directions as sliders, and the 3×3 around the result.

import { html, nothing } from "../vendor/lit-html.js";
import { dataUrl, getJson, postJson } from "./api.js";
import { fetchPicture } from "./keep.js";
import { button, choice, copyMenu, grid, newest, notes, report, slider, soon, toItem } from "./parts.js";
import { redraw, say, state, update } from "./store.js";

const LETTERS = ["A", "B", "C"];
const WORDS = new Set(["mean", "lerp", "slerp", "seed", "dir"]);
const mine = () => state.equation;
let served = null; // the bundle whose latents these are
let fetched = null; // the bundle whose directions are here
const quote = (name) => (/^[A-Za-z_]\w*$/.test(name) && !WORDS.has(name) ? name : `"${name}"`);
const freshStacks = () => [{ sign: 1, names: [] }, { sign: -1, names: [] }, { sign: 1, names: [] }];
const moved = () => soon("equation", 60, () => compute());

export function load(query, model) {
  if (served && served.name !== model?.name) state.equation = null;
  served = model ?? null;
  const stacks = freshStacks();
  LETTERS.forEach((letter, k) => { stacks[k].names = (query.get(letter) ?? "").split(",").filter(Boolean); });
  const kept = state.equation && !LETTERS.some((letter) => query.has(letter)) ? state.equation : { stacks, active: 0, trail: [] };
  state.equation = { amounts: {}, locks: new Set(), radius: 0.25, noise: 0, at: 4, result: null, directions: [], ...kept };
}

export const params = () => Object.fromEntries(mine().stacks.map((stack, k) => [LETTERS[k], stack.names.join(",")]));

export async function enter(model) {
  served = model;
  if (fetched !== model.name) fetchDirections();
  compute();
}

async function fetchDirections() {
  fetched = served.name;
  try {
    update("equation", { directions: (await getJson(`/directions?model=${served.name}&limit=100`)).data });
  } catch (error) { report(error); }
}

/** The expression that stands in the bar, or "" for an empty one. */
function expression() {
  const { trail, stacks, amounts } = mine();
  const base = trail.length ? quote(trail.at(-1).name) : stacked(stacks);
  if (!base) return "";
  return Object.entries(amounts).filter(([, amount]) => amount).reduce((text, [name, amount]) => `${text} ${amount < 0 ? "-" : "+"} ${Math.abs(amount)} * dir(${quote(name)})`, base);
}

function stacked(stacks) {
  return stacks.filter((stack) => stack.names.length).map(({ sign, names }, k) => {
    const inner = names.length === 1 ? quote(names[0]) : `mean(${names.map(quote).join(", ")})`;
    return k ? `${sign < 0 ? " - " : " + "}${inner}` : `${sign < 0 ? "-" : ""}${inner}`;
  }).join("");
}

const body = () => ({ model: served.name, expression: expression(), label: mine().label || undefined, neighbourhood: { radius: mine().radius, n: 8, seed: mine().noise } });
const request = () => (served && expression() ? { path: "/arithmetic", op: "arithmetic", body: body(), accept: "image/png", out: "equation.png" } : null);

async function compute() {
  if (!expression()) return update("equation", { result: null });
  try {
    const result = await postJson("/arithmetic", { ...body(), response_format: "b64_json" }, { signal: newest("equation") });
    update("equation", { result, at: Math.min(mine().at, 8) });
    document.getElementById("live").textContent = `Result of ${result.expression}`;
  } catch (error) { report(error); }
}

/** Add a latent with a sign: to the stack in hand if it has that sign, else to the next one that has. */
export function put(name, sign) {
  const { stacks, active } = mine();
  const fits = stacks[active].sign === sign ? active : sign < 0 ? 1 : stacks[0].names.length ? 2 : 0;
  if (stacks[fits].names.includes(name)) return say(`${name} is in ${LETTERS[fits]} already`);
  stacks[fits].names.push(name);
  Object.assign(mine(), { active: fits, trail: [] });
  say(`${name} in ${LETTERS[fits]}, ${sign > 0 ? "added" : "subtracted"}`);
  moved();
}

export function drop(name) { mine().stacks.forEach((stack) => { stack.names = stack.names.filter((n) => n !== name); }); moved(); }
export function rename(from, to) { mine().stacks.forEach((stack) => { stack.names = stack.names.map((n) => (n === from ? to : n)); }); moved(); }
const clear = () => { Object.assign(mine(), { stacks: freshStacks(), trail: [], amounts: {}, active: 0, result: null }); redraw(); };

/** Enter on a neighbour: it becomes the middle, and the breadcrumb remembers the way. */
async function step(index) {
  const { result } = mine();
  if (!result || index === result.result_index) return;
  const name = `step-${crypto.randomUUID().slice(0, 8)}`;
  try {
    await postJson("/latents", { name, model: served.name, tags: ["step"], from: { image: result.data[index].b64_json } });
    const trail = [...mine().trail, { name, src: dataUrl(result.data[index]) }];
    update("equation", { trail, amounts: {}, noise: mine().noise + 1, at: 4 });
    say(`Step ${trail.length}`);
    await compute();
    document.querySelector("#around .tile:nth-child(5) button")?.focus();
  } catch (error) { report(error); }
}

const back = (length) => { update("equation", { trail: mine().trail.slice(0, length) }); compute(); };
export const fetchResult = () => { const { result, at } = mine(); if (result) fetchPicture(result.data[at]); };

/** Keep the picture in focus; the result itself is kept with its parents. */
export async function save(reload) {
  const { result, at } = mine();
  if (!result) return say("Build an equation first");
  const name = `result-${crypto.randomUUID().slice(0, 6)}`;
  try {
    if (at === result.result_index) await postJson("/arithmetic", { model: served.name, expression: expression(), label: mine().label || undefined, save_as: name });
    else await postJson("/latents", { name, model: served.name, from: { image: result.data[at].b64_json } });
    say(`Saved as ${name}`);
    await reload();
  } catch (error) { report(error); }
}

async function learn() {
  const [plus, minus] = mine().stacks;
  const name = `direction-${crypto.randomUUID().slice(0, 4)}`;
  const json = { name, model: served.name, from: { difference: { positive: plus.names, negative: minus.names } }, orthogonal_to: [...mine().locks] };
  try {
    await postJson("/directions", json);
    say(`${name}: from B to A`);
    await fetchDirections();
  } catch (error) { report(error); }
}

export function view(thumb, reload) {
  const { result, at, stacks, trail } = mine();
  return html`<section class="equation" aria-label="Equation"><div class="bar"><h2>Equation</h2>${copyMenu(request())}</div>
    <div class="terms">${stacks.map((stack, k) => stackView(stack, k, thumb))}<span class="sign equals" aria-hidden="true">=</span>
      <figure class="result">${result ? html`<img class=${result.data[0].width < 48 ? "crisp" : ""} src=${dataUrl(result.data[at])} alt=${`Result of ${result.expression}`}>` : html`<p class="hint">Press + and − on cards below, or drag them here.</p>`}</figure>
      ${result ? html`<div class="around">${grid({ id: "around", label: "Neighbourhood of the result; Enter walks", at, size: "three",
        items: result.data.map((entry, k) => ({ ...toItem(entry, k === result.result_index ? "result" : "near"), mark: k === result.result_index ? "middle" : "" })),
        pick: (k) => update("equation", { at: k }), act: step })}</div>` : nothing}</div>
    ${trail.length ? html`<nav class="crumbs" aria-label="Steps"><button type="button" @click=${() => back(0)}>${stacked(stacks) || "start"}</button>${trail.map((s, k) => html`<span aria-hidden="true">›</span><button type="button" aria-current=${k + 1 === trail.length ? "step" : nothing} @click=${() => back(k + 1)}><img src=${s.src} alt="">step ${k + 1}</button>`)}</nav>` : nothing}
    ${served && expression() ? html`<p class="expression mono">${expression()}</p><div class="dials">${dials()}</div>` : nothing}
    <div class="actions" ?hidden=${!expression()}>${button("Save the picture in focus", () => save(reload), { ico: "save", keys: "S", disabled: !result })}${button("Download", fetchResult, { ico: "down", keys: "D", disabled: !result })}
      ${button("Keep B → A as a direction", learn, { disabled: !stacks[0].names.length || !stacks[1].names.length })}${button("Clear", clear, { kind: "quiet", disabled: !expression() })}</div>
    ${notes(result?.notes)}</section>`;
}

function stackView(stack, k, thumb) {
  const sign = stack.sign < 0 ? "−" : k ? "+" : "";
  const accept = (e) => { const name = e.dataTransfer.getData("text/x-ganymede"); if (name) { e.preventDefault(); mine().active = k; put(name, stack.sign); } };
  const hint = stack.names.length === 1 || stack.names.length === 2 ? `add ${stack.names.length === 1 ? "two" : "one"} more for a steadier result` : "";
  return html`${sign ? html`<span class="sign" aria-hidden="true">${sign}</span>` : nothing}
    <div class="stack ${mine().active === k ? "active" : ""}" @dragover=${(e) => e.preventDefault()} @drop=${accept}>
      <button type="button" class="stack-name" aria-pressed=${mine().active === k ? "true" : "false"} @click=${() => update("equation", { active: k })}>${LETTERS[k]}<span class="unseen">, ${stack.sign < 0 ? "subtracted" : "added"}, ${stack.names.length} pictures</span></button>
      <div class="cards">${stack.names.map((name) => html`<button type="button" class="mini" title="Remove ${name}" aria-label="Remove ${name} from ${LETTERS[k]}" @click=${() => { stack.names = stack.names.filter((n) => n !== name); mine().trail = []; moved(); redraw(); }}><img src=${thumb(name)} alt=""></button>`)}</div>
      <p class="hint">${hint}</p></div>`;
}

function dials() {
  const { directions, amounts, locks, radius } = mine();
  const dial = (d) => html`<div class="dial"><span class="row"><label for="dir-${d.name}">${d.name}</label>${button(`Lock ${d.name}: new directions leave it still`, () => { locks.has(d.name) ? locks.delete(d.name) : locks.add(d.name); redraw(); }, { ico: locks.has(d.name) ? "lock" : "unlock", hidden: true, kind: "quiet small", pressed: String(locks.has(d.name)) })}</span>
    ${slider(`dir-${d.name}`, { min: -3, max: 3, step: 0.1, value: amounts[d.name] ?? 0, on: (v) => { amounts[d.name] = v; redraw(); moved(); } })}</div>`;
  return html`<div class="dial"><label for="radius">Neighbourhood</label>${slider("radius", { min: 0.05, max: 1.5, step: 0.05, value: radius, on: (v) => { update("equation", { radius: v }); moved(); } })}</div>
    ${served.labels ? html`<div class="dial"><label for="eq-label">Label</label>${choice("eq-label", [["", "as the first card"], ...served.labels.map((l) => [l, l])], mine().label ?? "", (v) => { update("equation", { label: v }); moved(); })}</div>` : nothing}${directions.map(dial)}`;
}
