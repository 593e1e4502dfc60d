// Training: runs found in the run folder, with their curves, the same seeds at every step, and a word when samples grow alike.

import { html, nothing, svg } from "../vendor/lit-html.js";
import { getJson } from "./api.js";
import { button, empty, report } from "./parts.js";
import { shown } from "./pictures.js";
import { state, update } from "./store.js";

const WIDE = 320;
const HIGH = 110;
const mine = () => (state.training ??= { runs: [], run: null, at: 0 });

export function load(query) { mine().wanted = query.get("run") ?? mine().wanted; }
export const params = () => ({ run: mine().run?.name });

export async function enter() {
  try {
    const runs = (await getJson("/training/runs")).data;
    update("training", { runs, ready: true });
    const first = runs.find((run) => run.name === mine().wanted) ?? runs[0];
    if (first) await open(first.name);
  } catch (error) { report(error); }
}

async function open(name) {
  try {
    const run = await getJson(`/training/runs/${encodeURIComponent(name)}`);
    update("training", { run, wanted: name, at: run.grids.length - 1 });
  } catch (error) { report(error); }
}

export const keys = {};

export function view() {
  const { runs, run, ready } = mine();
  if (!runs.length) return ready ? html`<h1>Training</h1>${empty("No runs here", "Start the server with GANYMEDE_RUNS_DIR set to the folder that holds your run folders, and their curves appear.")}` : html`<h1>Training</h1>`;
  return html`<h1>Training</h1><div class="bar"><div class="actions" role="group" aria-label="Runs">${runs.map((r) => button(r.name, () => open(r.name), { pressed: String(r.name === run?.name) }))}</div></div>${run ? one(run) : nothing}`;
}

function one(run) {
  const hours = run.seconds / 3600;
  return html`<p class="status"><b>${run.step.toLocaleString("en")} steps</b>, ${run.images.toLocaleString("en")} pictures seen${hours ? html`, ${hours < 1 ? `${Math.round(hours * 60)} minutes` : `${hours.toFixed(1)} hours`}` : nothing}</p>
    ${run.collapsed ? html`<p class="problem" role="status">The samples have grown alike: their diversity is ${Math.round(run.diversity_ratio * 100)} % of the data's. This is what collapse looks like.</p>` : nothing}
    ${run.grids.length ? scrubber(run) : nothing}<div class="curves">${Object.entries(run.curves).map(([name, points]) => chart(name, points))}</div>`;
}

function scrubber(run) {
  const at = Math.min(mine().at, run.grids.length - 1);
  const step = run.grids[at];
  return html`<figure class="time"><img class="crisp" src=${shown(`${run.url}/grids/${step}.png`)} alt="Fixed seeds at step ${step}"><figcaption><label for="step">The same seeds at step <span class="mono">${step}</span></label>
    <input id="step" type="range" min="0" max=${run.grids.length - 1} .value=${String(at)} ?disabled=${run.grids.length < 2} @input=${(e) => update("training", { at: Number(e.target.value) })}></figcaption></figure>`;
}

function chart(name, points) {
  if (points.length < 2) return nothing;
  const ys = points.map((p) => p[1]);
  const [low, high, last] = [Math.min(...ys), Math.max(...ys), points.at(-1)];
  const [x0, x1] = [points[0][0], last[0]];
  const line = points.map(([x, y]) => `${(((x - x0) / (x1 - x0 || 1)) * WIDE).toFixed(1)},${(HIGH - ((y - low) / (high - low || 1)) * HIGH).toFixed(1)}`).join(" ");
  const short = (v) => v.toLocaleString("en", { maximumSignificantDigits: 3 });
  return html`<figure class="panel chart"><figcaption><b>${name.replaceAll("_", " ")}</b> <span class="mono">${short(last[1])}</span></figcaption>
    <svg viewBox="0 -4 ${WIDE} ${HIGH + 8}" role="img" aria-label="${name}: from ${short(ys[0])} to ${short(last[1])}, between ${short(low)} and ${short(high)}">${svg`<polyline points=${line} />`}</svg><p class="hint">${short(low)} … ${short(high)}</p></figure>`;
}
