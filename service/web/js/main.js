// Boot, address, keys, frame: which view is shown and what every key does.

import { html, nothing, render } from "../vendor/lit-html.js";
import { getJson, setKey } from "./api.js";
import { button, icon, report } from "./parts.js";
import { onChange, redraw, say, setTheme, state, update } from "./store.js";
import { recipeOf } from "./recipe.js";
import { restoreDialog } from "./restore.js";
import * as jobs from "./jobs.js";
import * as models from "./models.js";
import * as sample from "./sample.js";
import * as sharpen from "./sharpen.js";
import * as shelf from "./shelf.js";
import * as training from "./training.js";
import * as walk from "./walk.js";

const VIEWS = [
  ["sample", "Sample", sample], ["shelf", "Shelf", shelf], ["walk", "Walk", walk], ["sharpen", "Sharpen", sharpen],
  ["jobs", "Jobs", jobs], ["models", "Models", models], ["training", "Training", training],
];
const ICON = new URL("../icon.svg", import.meta.url).pathname;
const view = () => (VIEWS.find(([id]) => id === state.view) ?? VIEWS[0])[2];

const KEYS = [
  ["1 – 7", "go to a view"], ["space", "new seeds (Sample)"], ["[ and ]", "seed one down, one up"], ["L", "lock or unlock the seed"],
  ["arrows", "move in a grid"], ["Enter", "open a picture; in the shelf's 3×3, walk to it"], ["S", "save the picture's latent to the shelf"],
  ["D", "download the picture"], ["W", "add it to the walk"], ["+ and −", "put a card into the equation (Shelf)"],
  ["P", "play or pause (Walk)"], ["R", "residual (Sharpen)"], ["C", "copy the request as curl"], ["T", "theme"], ["?", "this list"], ["Esc", "close"],
];

export function go(id, params) {
  update("", { view: id });
  if (!state.ready) return address(id, params ?? {}); // read once the models are there
  if (params) address(id, params);
  else address(id, view().params?.() ?? {});
  view().enter?.();
  document.getElementById("main")?.focus({ preventScroll: true });
}

let written = null; // the address as this page last wrote or read it

/** Everything that makes this picture stands in the address. */
function address(id, params) {
  const given = Object.entries(params).filter(([, v]) => v !== undefined && v !== null && v !== "");
  const query = new URLSearchParams(given).toString();
  const hash = `#${id}${query ? `?${query}` : ""}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
  written = location.hash;
}

function readAddress() {
  written = location.hash;
  const [id, query] = location.hash.slice(1).split("?");
  const found = VIEWS.find(([name]) => name === id) ?? VIEWS[0];
  update("", { view: found[0] });
  found[2].load?.(new URLSearchParams(query ?? ""));
  return found[2];
}

function onKey(e) {
  if (e.key === "Escape") return update("", { dialog: null });
  if (state.dialog || e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input:not([type=range]):not([type=checkbox]), select, textarea")) return;
  const number = Number(e.key);
  if (number >= 1 && number <= VIEWS.length) return go(VIEWS[number - 1][0]);
  const common = {
    "?": () => update("", { dialog: "keys" }), t: nextTheme,
    c: () => { const button = document.querySelector(".copy button"); if (button) button.click(); },
  };
  const keys = state.ready ? view().keys : {};
  const act = keys?.[e.key] ?? keys?.[e.key.toLowerCase()] ?? common[e.key.toLowerCase()];
  if (!act || (e.key === " " && e.target.closest("button:not(.tile button), a, summary"))) return;
  e.preventDefault();
  act(e);
}

const nextTheme = () => {
  const dark = document.documentElement.dataset.theme === "dark" ||
    (document.documentElement.dataset.theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  setTheme(dark ? "light" : "dark");
  say(dark ? "Light theme" : "Dark theme");
};

function frame() {
  return html`
    <a class="skip" href="#main" @click=${(e) => { e.preventDefault(); document.getElementById("main").focus(); }}>Skip to the pictures</a>
    <header><a class="brand" href="#sample" @click=${(e) => { e.preventDefault(); go("sample"); }}><img src=${ICON} alt="" width="28" height="28"><span>Ganymede</span></a>
      <nav aria-label="Views">${VIEWS.map(([id, name], k) => html`<a href="#${id}" class="tab" aria-current=${state.view === id ? "page" : nothing}
        aria-keyshortcuts=${k + 1} @click=${(e) => { e.preventDefault(); go(id); }}>${name}</a>`)}</nav>
      <div class="tools">${button("Keys", () => update("", { dialog: "keys" }), { ico: "key", hidden: true, kind: "quiet", keys: "?" })}
        ${button("Light or dark", nextTheme, { ico: "moon", hidden: true, kind: "quiet", keys: "T" })}<a class="button quiet" href="/docs">API</a></div></header>
    <main id="main" tabindex="-1" class="view-${state.view}">${state.failed ? failed() : state.ready ? view().view() : html`<p class="loading">Loading …</p>`}</main>
    ${state.toast ? html`<section class="toast ${state.toast.kind}" aria-label="Notice" role=${state.toast.kind === "error" ? "alert" : nothing}>${state.toast.text}</section>` : nothing}
    ${dialog()}`;
}

const failed = () => html`<div class="empty"><h1>Nothing to show yet</h1><p>${state.failed}</p>${button("Try again", start, { ico: "redo" })}</div>`;

function dialog() {
  if (!state.dialog) return nothing;
  const close = () => update("", { dialog: null });
  return html`<div class="veil" @click=${(e) => e.target === e.currentTarget && close()}><div class="dialog" role="dialog" aria-modal="true" aria-labelledby="dialog-title">
    <button class="button quiet closer" type="button" aria-label="Close" @click=${close}>${icon("close")}</button>${content(close)}</div></div>`;
}

function content(close) {
  if (state.dialog === "keys")
    return html`<h2 id="dialog-title">Keys</h2><dl class="keys">${KEYS.map(([k, what]) => html`<div><dt><kbd>${k}</kbd></dt><dd>${what}</dd></div>`)}</dl>`;
  if (state.dialog === "key")
    return html`<h2 id="dialog-title">This server asks for an API key</h2><p class=${state.wrongKey ? "problem" : "hint"}>${state.wrongKey ? "The server does not know this key, or no longer." : "Whoever runs the server makes one with: ganymede keys add"}</p><form @submit=${(e) => { e.preventDefault(); setKey(e.target.key.value); close(); start(); }}>
      <label for="api-key">Key, kept until this tab closes</label><input id="api-key" name="key" type="password" autocomplete="off"><button class="button main" type="submit">Use it</button></form>`;
  if (state.dialog.kind === "restore") return restoreDialog(state.dialog, close);
  return html`<h2 id="dialog-title">${state.dialog.title}</h2><textarea readonly rows=${state.dialog.rows ?? 6} aria-label=${state.dialog.title} @focus=${(e) => e.target.select()}>${state.dialog.text}</textarea>`;
}

let last = null;
let seen = null; // the view that was drawn last
function draw() {
  const had = document.activeElement;
  render(frame(), document.getElementById("app"));
  if (seen !== state.view) document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }); // narrow screens
  seen = state.view;
  document.title = `${VIEWS.find(([id]) => id === state.view)[1]} · Ganymede`;
  if (state.ready && location.hash === written) address(state.view, view().params?.() ?? {}); // else a link was followed and is still to be read
  view().drawn?.();
  const box = document.querySelector(".dialog");
  if (box && !last) { draw.back = had; (box.querySelector("input, textarea") ?? box.querySelector("button")).focus(); }
  if (!box && last) draw.back?.focus?.();
  last = box;
}

function trap(e) {
  const box = document.querySelector(".dialog");
  if (!box || e.key !== "Tab") return;
  const stops = [...box.querySelectorAll("button, input, textarea, a[href]")];
  const edge = e.shiftKey ? stops[0] : stops.at(-1);
  if (document.activeElement === edge) { e.preventDefault(); (e.shiftKey ? stops.at(-1) : stops[0]).focus(); }
}

let setReady;
const ready = new Promise((resolve) => { setReady = resolve; }); // fulfilled once the models are there and the address is read

async function start() {
  try {
    const list = await getJson("/models");
    update("", { models: list.data.filter((m) => m.is_default), defaultModel: list.default, limits: list.limits, failed: null });
    if (!list.data.length) return update("", { failed: "This server has loaded no bundle. Put one into its bundle folder; it is picked up within seconds." });
    VIEWS.forEach(([, , each]) => each.load?.(new URLSearchParams()));
    const shown = readAddress();
    update("", { ready: true });
    shown.enter?.();
    setReady();
  } catch (error) {
    update("", { failed: error.message });
  }
}

/** Pictures may be dropped or pasted anywhere; one of ours offers to be restored. */
async function take(file) {
  if (!file?.type.startsWith("image/")) return;
  await ready; // a picture may come before the address is read, which says how it is sharpened
  const toSharpen = () => { sharpen.take(file); if (state.view === "sharpen") sharpen.enter(); else go("sharpen"); };
  const recipe = await recipeOf(file);
  if (recipe) update("", { dialog: { kind: "restore", file, recipe, sharpen: toSharpen } });
  else toSharpen();
}

document.documentElement.dataset.theme = state.theme;
onChange(draw);
addEventListener("keydown", onKey);
addEventListener("keydown", trap);
addEventListener("hashchange", () => { if (state.ready) readAddress().enter?.(); });
addEventListener("dragover", (e) => { if (e.dataTransfer?.types.includes("Files")) e.preventDefault(); });
addEventListener("drop", (e) => { if (e.dataTransfer?.files.length) { e.preventDefault(); take(e.dataTransfer.files[0]); } });
addEventListener("paste", (e) => take([...(e.clipboardData?.files ?? [])][0]));
addEventListener("take", (e) => take(e.detail));
redraw();
start();

