// Jobs: what waits, runs and has ended; closing the tab loses nothing, because jobs live on the server.

import { html, nothing } from "../vendor/lit-html.js";
import { dataUrl, download, getBlob, getJson, postJson } from "./api.js";
import { button, choice, empty, grid, pixelClass, report, toItem } from "./parts.js";
import { shown } from "./pictures.js";
import { chosenModel, samplers, say, state, update } from "./store.js";

const OPEN = new Set(["queued", "running"]);
const mine = () => (state.jobs ??= { list: [], count: 256, model: undefined });
const asked = new Map(); // what this page asked for, so that a canceled job can be asked for again
let timer = null;

export const load = () => mine();
export async function enter() {
  clearTimeout(timer);
  if (state.view !== "jobs") return;
  try {
    const page = await getJson("/jobs?limit=50");
    announce(page.data);
    update("jobs", { list: page.data, ready: true });
  } catch (error) { report(error); }
  timer = setTimeout(enter, mine().list.some((job) => OPEN.has(job.state)) ? 700 : 4000);
}

function announce(list) {
  for (const job of list) {
    const before = mine().list.find((old) => old.id === job.id);
    if (before && before.state !== job.state) document.getElementById("live").textContent = `Job ${job.op}: ${job.state}`;
  }
}

const begin = (event) => { event.preventDefault(); ask({ model: chosenModel(mine().model).name, n: mine().count }); };

async function ask(json) {
  try {
    const job = await postJson("/sample", json, { headers: { prefer: "respond-async" } });
    asked.set(job.id, json);
    say("In the queue");
    enter();
  } catch (error) { report(error); }
}

const act = (job, what) => async () => {
  try {
    await postJson(`/jobs/${job.id}/${what}`, undefined);
    say(what === "cancel" ? "Canceled" : "Back in the queue");
    enter();
  } catch (error) { report(error); }
};

const show = (job) => async () => {
  if (mine().open === job.id) return update("jobs", { open: null });
  try {
    const result = await getJson(`/jobs/${job.id}/result?count=64`);
    update("jobs", { open: job.id, result });
  } catch (error) { report(error); }
};
const keep = (job) => async () => {
  try { download(await getBlob("GET", `/jobs/${job.id}/result`, { accept: "application/zip" }), `${job.op}-${job.id.slice(0, 8)}.zip`); } catch (error) { report(error); }
};

export const keys = {};

export function view() {
  const { list, ready, count } = mine();
  return html`<h1>Jobs</h1><p class="lead">Large requests wait here their turn. Close the tab if you like: they live on the server, and their results stay for a day.</p>
    <form class="row begin panel" @submit=${begin}><span>Draw</span><label class="unseen" for="job-count">How many pictures</label><input id="job-count" type="number" min="1" max=${state.limits.pictures_per_request ?? 1024} .value=${String(count)} @change=${(e) => { mine().count = Number(e.target.value); }}>
      <span>pictures of</span><label class="unseen" for="job-model">Model</label>${choice("job-model", samplers().map((m) => [m.name, m.name]), chosenModel(mine().model)?.name, (v) => { mine().model = v; })}<button class="button main" type="submit">Start a job</button></form>
    ${list.length ? html`<ul class="jobs">${list.map(row)}</ul>` : ready ? empty("No jobs", "What you start here, or with Prefer: respond-async, shows up in this list.") : nothing}`;
}

function row(job) {
  const { done, total, unit } = job.progress ?? { done: 0, total: 1, unit: "" };
  const open = OPEN.has(job.state);
  return html`<li class="panel job ${job.state}"><div class="job-head"><b>${job.op}</b><span class="badge ${job.state}">${job.state}</span><span class="hint">${job.model ?? ""} · ${new Date(job.created_at * 1000).toLocaleTimeString()}</span>
      <span class="job-tools">${open ? button("Cancel", act(job, "cancel"), { kind: "small" }) : nothing}${job.state === "succeeded" ? html`${button(mine().open === job.id ? "Hide" : "Show", show(job), { kind: "small" })}${button("Zip", keep(job), { kind: "small", ico: "down" })}` : nothing}${again(job)}</span></div>
    ${open ? html`<progress max=${total || 1} .value=${done} aria-label="Progress of ${job.op}"></progress><p class="hint">${job.state === "queued" ? place(job) : html`${done} of ${total} ${unit}${eta(job, done, total)}`}</p>` : nothing}
    ${job.error ? html`<p class="problem">${job.error.detail ?? job.error.title}</p>` : nothing}
    ${mine().open === job.id ? result() : nothing}</li>`;
}

/** A refused request would be refused again; one that ran out of attempts, or was canceled, may be asked for once more. */
function again(job) {
  if (job.state === "failed" && (job.error?.status ?? 500) >= 500) return button("Retry", act(job, "requeue"), { kind: "small", ico: "redo" });
  if ((job.state === "canceled" || job.state === "expired") && asked.has(job.id)) return button("Ask again", () => ask(asked.get(job.id)), { kind: "small", ico: "redo" });
  return nothing;
}

const place = (job) => (job.queue_position ? `number ${job.queue_position} in the queue` : "next in the queue");
function eta(job, done, total) {
  if (!job.started_at || !done) return "";
  const left = ((Date.now() / 1000 - job.started_at) / done) * (total - done);
  return ` · about ${left < 90 ? `${Math.max(1, Math.round(left))} s` : `${Math.round(left / 60)} min`} left`;
}

function result() {
  const data = (mine().result.data ?? []).slice(0, 64);
  const items = data.map((entry) => { const item = toItem(entry, entry.seed === null ? "" : `seed ${entry.seed}`); return { ...item, src: shown(item.src) }; });
  if (items.length === 1) return html`<img class="portrait ${pixelClass(data[0])}" src=${data[0].b64_json ? dataUrl(data[0]) : shown(data[0].url)} alt="The result">`;
  return html`${grid({ id: "job-result", label: "Result", items, at: mine().at ?? 0, pick: (k) => update("jobs", { at: k }), size: "small" })}${mine().result.data.length > 64 ? html`<p class="hint">The first 64 of ${mine().result.data.length}; the zip has all.</p>` : nothing}`;
}
