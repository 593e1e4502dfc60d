// Models: what this server has loaded, with scores, licences and a preview each.

import { html, nothing } from "../vendor/lit-html.js";
import { getJson } from "./api.js";
import { button, report } from "./parts.js";
import { shown } from "./pictures.js";
import { state, update } from "./store.js";

export async function enter() {
  try {
    const list = await getJson("/models");
    update("", { models: list.data.filter((m) => m.is_default), versions: list.data, defaultModel: list.default, limits: list.limits, refused: list.refused });
  } catch (error) { report(error); }
}

async function read(m, part) {
  try {
    const found = (await getJson(`/models/${m.name}`))[part];
    const text = typeof found === "string" ? found : JSON.stringify(found, null, 2);
    update("", { dialog: { kind: "text", title: `${m.name}: ${part}`, text, rows: 22 } });
  } catch (error) { report(error); }
}

export const keys = {};

export function view() {
  return html`<h1>Models</h1><p class="lead">Bundles in the watched folders. A new one appears here within seconds, without a restart.</p>
    <ul class="cards-list">${state.models.map(card)}</ul>
    ${state.refused?.length ? html`<h2>Refused</h2><ul class="notes">${state.refused.map((r) => html`<li><b>${r.folder}</b>: ${r.reason}</li>`)}</ul>` : nothing}
    <h2>Limits</h2><dl class="facts">${Object.entries(state.limits).map(([k, v]) => html`<div><dt>${k.replaceAll("_", " ")}</dt><dd class="mono">${v.toLocaleString("en")}</dd></div>`)}</dl>`;
}

function others(m) {
  const found = (state.versions ?? []).filter((v) => v.name === m.name && !v.is_default);
  return found.length ? html`<div><dt>Other versions</dt><dd class="mono">${found.map((v) => v.digest).join(", ")}</dd></div>` : nothing;
}

function card(m) {
  const sharpens = m.upsampling ? ` · sharpens ${m.upsampling.kind === "any-size" ? "pictures of any size" : `from ${(m.upsampling.start_sizes ?? []).join(" or ")} pixels`}` : "";
  return html`<li class="panel model ${m.preview ? "" : "bare"}">${m.preview ? html`<img src=${shown(m.preview)} alt="Sample sheet of ${m.name}" loading="lazy">` : nothing}<div>
    <h2>${m.name}${m.name === state.defaultModel ? html` <span class="badge">default</span>` : nothing}</h2><p>${m.description}</p>
    <dl class="facts"><div><dt>Kind</dt><dd>${m.family.replaceAll("_", " ").toUpperCase()}${m.levels > 1 ? `, ${m.levels} levels` : ""}${sharpens}</dd></div>
      <div><dt>Picture</dt><dd>${m.image.width} × ${m.image.height}, ${{ 1: "grey", 3: "colour", 4: "colour and alpha" }[m.image.channels]}</dd></div>
      ${m.labels ? html`<div><dt>Labels</dt><dd>${m.labels.join(", ")}</dd></div>` : nothing}
      ${m.scores.map((s) => html`<div><dt title=${s.protocol}>${s.name}</dt><dd><span class="mono">${s.value.toLocaleString("en", { maximumFractionDigits: 4 })}</span></dd></div>`)}
      <div><dt>Licence</dt><dd>${m.licence}</dd></div><div><dt>Digest</dt><dd class="mono">${m.digest}</dd></div>${others(m)}<div><dt>Runs on</dt><dd>${m.provider.replace("ExecutionProvider", "")}</dd></div></dl>
    <div class="actions">${m.samples ? html`<a class="button" href="#sample?model=${m.name}">Sample</a>` : nothing}${m.upsampling ? html`<a class="button" href="#sharpen?model=${m.name}">Sharpen</a>` : nothing}
      ${button("Card", () => read(m, "card"), { kind: "quiet" })}${button("Manifest", () => read(m, "manifest"), { kind: "quiet" })}</div></div></li>`;
}
