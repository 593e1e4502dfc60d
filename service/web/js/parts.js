// Pieces every view uses: icons, a copy menu, a picture tile, a grid with one tab stop, sliders, notices.

import { html, nothing, svg } from "../vendor/lit-html.js";
import { repeat } from "../vendor/directives/repeat.js";
import { dataUrl } from "./api.js";
import { spellings } from "./copy.js";
import { say, update } from "./store.js";

const PATHS = {
  dice: "M5 3h14a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zM8.5 8.5h.01M15.5 8.5h.01M12 12h.01M8.5 15.5h.01M15.5 15.5h.01",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3", unlock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 6.6-1.6",
  save: "M6 3h12v18l-6-4.5L6 21z", down: "M12 4v11m-5-4 5 5 5-5M5 20h14", copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  walk: "M4 19c4 0 4-7 8-7s4-7 8-7M4 19h.01M20 5h.01", sun: "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1 1M17.4 17.4l1 1M18.4 5.6l-1 1M6.6 17.4l-1 1",
  moon: "M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5z", key: "M5 6h14M5 12h14M5 18h9", close: "M6 6l12 12M18 6 6 18",
  play: "M8 5l11 7-11 7z", pause: "M8 5v14M16 5v14", plus: "M12 5v14M5 12h14", minus: "M5 12h14", trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13", pen: "M4 20l1-4L16 5l3 3L8 19z", redo: "M4 12a8 8 0 1 1 2.3 5.7M4 12V6M4 12h6",
};
export const icon = (name) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">${svg`<path d=${PATHS[name]} />`}</svg>`;

/** A button with an icon, or a text, or both. */
export const button = (label, act, { ico, kind = "", pressed, hidden = false, disabled = false, keys } = {}) => html`
  <button class="button ${kind}" type="button" @click=${act} ?disabled=${disabled} title=${keys ? `${label} (${keys})` : hidden ? label : nothing}
    aria-label=${hidden ? label : nothing} aria-pressed=${pressed ?? nothing} aria-keyshortcuts=${keys ?? nothing}>
    ${ico ? icon(ico) : nothing}${hidden ? nothing : html`<span>${label}</span>`}</button>`;

/** A labelled control with its plain sentence. */
export const field = (id, label, sentence, control) => html`
  <div class="field"><label for=${id}>${label}</label>${control}<p class="hint" id="${id}-hint">${sentence}</p></div>`;

export const slider = (id, { min, max, step, value, on, label, done }) => html`
  <span class="slider"><input type="range" id=${id} min=${min} max=${max} step=${step} .value=${String(value)} aria-label=${label ?? nothing}
    @input=${(e) => on(Number(e.target.value))} @change=${(e) => done?.(Number(e.target.value))}><output for=${id}>${value}</output></span>`;

export const choice = (id, options, value, on) => html`
  <select id=${id} @change=${(e) => on(e.target.value)}>${options.map(([v, text]) => html`
    <option value=${v} ?selected=${v === value} .selected=${v === value}>${text}</option>`)}</select>`;

export function copyMenu(request) {
  if (!request) return nothing;
  return html`<div class="copy" role="group" aria-label="Copy this request as"><span class="copy-title">Copy as</span>${Object.entries(spellings(request)).map(([name, text]) =>
    html`<button class="button quiet" type="button" @click=${() => copy(name, text)} title=${text}>${name === "curl" ? icon("copy") : nothing}<span>${name}</span></button>`)}</div>`;
}

export async function copy(name, text) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${name} copied`);
  } catch {
    update("", { dialog: { kind: "text", title: name, text } }); // no clipboard outside https and localhost: show it to be copied
  }
}

/** A grid with one tab stop; arrows, Home and End move, Enter acts. Items are {key, src, name, caption, badge}; a tile stays its key's wherever it moves. */
export function grid({ id, label, items, at, pick, act, size = "", drag, extra }) {
  const focus = Math.min(at ?? 0, items.length - 1);
  const go = (node, to) => { const next = Math.max(0, Math.min(items.length - 1, to)); pick(next); node.children[next]?.querySelector("button").focus(); };
  const keys = (e) => {
    const node = e.currentTarget;
    const columns = getComputedStyle(node).gridTemplateColumns.split(" ").length;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[e.key];
    const here = [...node.children].findIndex((tile) => tile.contains(document.activeElement)); // `focus` is as old as the last frame
    if (step && !e.ctrlKey && !e.metaKey) go(node, (here < 0 ? focus : here) + step);
    else if (e.key === "Home") go(node, 0);
    else if (e.key === "End") go(node, items.length - 1);
    else return;
    e.preventDefault();
  };
  return html`<ul class="grid ${size}" id=${id} aria-label=${label} @keydown=${keys}>${repeat(items, (item) => item.key, (item, k) => html`
    <li class="tile ${item.mark ?? ""}"><button type="button" tabindex=${k === focus ? 0 : -1} aria-label=${item.name} aria-current=${k === at ? "true" : nothing}
      draggable=${drag ? "true" : "false"} @dragstart=${(e) => drag?.(e, item)} @focus=${() => k !== at && pick(k)} @click=${() => { pick(k); act?.(k); }}>
      <img src=${item.src} alt="" class=${pixelClass(item)} draggable="false"><span class="caption">${item.caption}</span></button>${extra?.(item, k) ?? nothing}</li>`)}</ul>`;
}

export const pixelClass = (item) => (item.width && item.width < 48 ? "crisp" : "");
export const toItem = (entry, caption) => ({
  key: entry.index, src: entry.b64_json ? dataUrl(entry) : entry.url, width: entry.width, caption,
  name: `Picture ${entry.index + 1}, ${caption}${entry.label ? `, ${entry.label}` : ""}`,
});

export const notes = (list) => (list?.length ? html`<ul class="notes">${list.map((n) => html`<li>${n}</li>`)}</ul>` : nothing);

export const empty = (title, text, action = nothing) => html`<div class="empty"><h2>${title}</h2><p>${text}</p>${action}</div>`;

/** Put an error where people and screen readers find it; aborted requests are nobody's error. */
export function report(error) {
  if (error.name !== "AbortError") say(error.message, "error");
}

const timers = new Map();
/** Run `work` once things have been quiet for `ms`. */
export function soon(name, ms, work) {
  clearTimeout(timers.get(name));
  timers.set(name, setTimeout(work, ms));
}

const running = new Map();
/** A signal that is aborted when the same `name` starts again: only the newest answer counts. */
export function newest(name) {
  running.get(name)?.abort();
  const controller = new AbortController();
  running.set(name, controller);
  return controller.signal;
}

