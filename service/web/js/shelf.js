// Shelf: saved latents as cards, and the equation made from them.

import { html, nothing } from "../vendor/lit-html.js";
import { call, dataUrl, download, getBlob, getJson, postJson } from "./api.js";
import * as equation from "./equation.js";
import { addStop } from "./keep.js";
import { button, choice, empty, grid, newest, report, soon } from "./parts.js";
import { NOTHING } from "./pictures.js";
import { chosenModel, redraw, samplers, say, state, update } from "./store.js";

const PAGE = 60;
const HIDDEN = "step"; // latents kept only as steps through a neighbourhood
const mine = () => state.shelf;
const model = () => chosenModel(mine().model);
const current = () => mine().cards[mine().at];

export function load(query) {
  const same = state.shelf?.model === chosenModel(query.get("model"))?.name;
  state.shelf = { q: "", ...(same ? state.shelf : {}), model: chosenModel(query.get("model"))?.name, at: 0, cards: same ? state.shelf.cards : [], stale: true };
  equation.load(query, model());
}

export const params = () => ({ model: model()?.name, ...equation.params() });

export async function enter() {
  if (!mine()) load(new URLSearchParams());
  if (mine().wanted && mine().wanted !== mine().model) load(new URLSearchParams({ model: mine().wanted })); // where the last picture was kept
  mine().wanted = null;
  if (!model()) return;
  if (mine().stale) await fetchCards();
  equation.enter(model());
}

async function fetchCards(cursor) {
  const query = new URLSearchParams({ model: model().name, limit: PAGE, ...(mine().q ? { q: mine().q } : {}), ...(cursor ? { cursor } : {}) });
  try {
    const page = await getJson(`/latents?${query}`, { signal: newest("shelf") });
    const cards = page.data.filter((card) => !card.tags.includes(HIDDEN));
    const all = cursor ? [...mine().cards, ...cards] : cards;
    const same = all.findIndex((card) => card.id === current()?.id); // a new card moves the others: the one in focus stays it
    update("shelf", { cards: all, next: page.next_cursor, stale: false, at: same >= 0 ? same : Math.max(0, Math.min(mine().at, all.length - 1)), ready: true });
    requestAnimationFrame(refocus); // after the redraw
    await paint(cards);
  } catch (error) { report(error); }
}

function refocus() {
  const node = document.getElementById("cards");
  if (node?.contains(document.activeElement)) node.children[mine().at]?.querySelector("button").focus();
}

/** The pictures of many cards in one request; cards of another version of the bundle stay without. */
async function paint(cards) {
  const missing = cards.filter((card) => card.model === model().reference && !pictures.has(card.id));
  if (!missing.length) return redraw();
  const answer = await postJson("/sample", { model: model().reference, latents: missing.map((card) => card.name), response_format: "b64_json" });
  answer.data.forEach((entry, k) => pictures.set(missing[k].id, entry));
  redraw();
}
const pictures = new Map();
const sourceOf = (card) => (pictures.has(card.id) ? dataUrl(pictures.get(card.id)) : NOTHING);
const thumb = (name) => { const card = mine().cards.find((c) => c.name === name); return card ? sourceOf(card) : NOTHING; };

async function remove() {
  const card = current();
  if (!card) return;
  try {
    await call("DELETE", `/latents/${encodeURIComponent(card.name)}`);
    equation.drop(card.name);
    say(`Removed ${card.name}`);
    await fetchCards();
  } catch (error) { report(error); }
}

async function rename(event) {
  event.preventDefault();
  const name = event.target.name.value.trim();
  try {
    await call("PATCH", `/latents/${encodeURIComponent(current().name)}`, { json: { name } });
    equation.rename(current().name, name);
    say(`Now called ${name}`);
    await fetchCards();
  } catch (error) { report(error); }
}

async function starters() {
  const first = crypto.getRandomValues(new Uint32Array(1))[0] % 10_000;
  try {
    for (let k = 0; k < 9; k += 1) await postJson("/latents", { name: `${model().name}-${first + k}`, model: model().name, from: { seed: first + k } });
    say("Nine pictures on the shelf");
    await fetchCards();
  } catch (error) { report(error); }
}

/** By identity, not by place: the list may have changed since it was drawn. */
const pick = (card) => update("shelf", { at: Math.max(0, mine().cards.findIndex((c) => c.id === card.id)) });
const put = (sign) => () => { if (current()) equation.put(current().name, sign); };
const toWalk = () => { if (current()) addStop(current().name, model()); };
export const keys = { "+": put(1), "=": put(1), "-": put(-1), "−": put(-1), w: toWalk, Delete: remove, s: () => equation.save(fetchCards), d: () => equation.fetchResult() };

export function view() {
  if (!model()) return empty("No bundle here has latents to keep", "The bundles of this server sharpen photographs: see Sharpen.");
  const items = mine().cards.map((card) => ({ key: card.id, src: sourceOf(card), width: pictures.get(card.id)?.width, caption: card.name.startsWith(`${model().name}-`) ? card.name.slice(model().name.length + 1) : card.name, card, mark: card.model === model().reference ? "" : "other", name: `${card.name}${card.label ? `, ${card.label}` : ""}` }));
  return html`<h1 class="unseen">Shelf</h1>${equation.view(thumb, fetchCards)}
    <section aria-label="Saved latents"><div class="bar"><h2>Shelf</h2><span class="row">${tools()}</span></div>
    ${items.length ? html`<div class="shelf">${grid({
      id: "cards", label: "Saved latents", items, at: mine().at, pick: (k) => pick(items[k].card), size: "always",
      drag: (e, item) => e.dataTransfer.setData("text/x-ganymede", item.card.name),
      extra: (item) => html`<span class="signs"><button type="button" tabindex="-1" aria-label="Add ${item.card.name}" @click=${() => { pick(item.card); equation.put(item.card.name, 1); }}>+</button>
        <button type="button" tabindex="-1" aria-label="Subtract ${item.card.name}" @click=${() => { pick(item.card); equation.put(item.card.name, -1); }}>−</button></span>` })}
      ${current() ? about(current()) : nothing}</div>
      ${mine().next ? button("More", () => fetchCards(mine().next)) : nothing}`
    : mine().ready ? empty(mine().q ? "No name begins like this" : "The shelf is empty", "Press S on any picture of the Sample view, or begin with nine pictures drawn at random.", button("Nine pictures", starters, { ico: "dice", kind: "main" })) : nothing}</section>`;
}

const tools = () => html`
  <label class="unseen" for="shelf-model">Model</label>${choice("shelf-model", samplers().map((m) => [m.name, m.name]), model().name, (v) => { load(new URLSearchParams({ model: v })); update("shelf", { cards: [] }); enter(); })}
  <label class="unseen" for="shelf-q">Names that begin with</label><input id="shelf-q" placeholder="name begins with" .value=${mine().q} @input=${(e) => { update("shelf", { q: e.target.value.trim() }); soon("shelf", 200, fetchCards); }}>
  ${button("Export", async () => download(await getBlob("GET", `/latents/export?model=${model().name}`, { accept: "*/*" }), `${model().name}-latents.ndjson`), { ico: "down", kind: "quiet" })}`;

function about(card) {
  return html`<aside class="panel about" aria-label="The card in focus"><form class="row" @submit=${rename}>
      <label class="unseen" for="card-name">Name</label><input id="card-name" name="name" .value=${card.name} maxlength="64" pattern="[A-Za-z0-9][A-Za-z0-9_.\-]*" required>${button("Rename", (e) => e.target.closest("form").requestSubmit(), { ico: "pen", hidden: true })}</form>
    <p class="hint">${card.expression ? html`<span class="mono">${card.expression}</span>` : card.seed !== null ? html`seed <span class="mono">${card.seed}</span>` : card.origin}${card.label ? ` · ${card.label}` : nothing}</p>
    ${card.parents.length ? html`<p class="hint">Made from ${card.parents.map((p, k) => html`${k ? ", " : ""}<b>${p.name}</b>`)}</p>` : nothing}
    ${card.model === model().reference ? nothing : html`<p class="hint">Made by ${card.model}, another version of this bundle.</p>`}
    <div class="actions">${button("Add", put(1), { ico: "plus", keys: "+" })}${button("Subtract", put(-1), { ico: "minus", keys: "−" })}
    ${button("To the walk", toWalk, { ico: "walk", keys: "W" })}${button("Remove", remove, { ico: "trash", keys: "Delete", kind: "quiet" })}</div></aside>`;
}
