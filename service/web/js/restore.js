// A dropped save file: what it says of itself, and the ways to bring it back.

import { html, nothing } from "../vendor/lit-html.js";
import { postJson } from "./api.js";
import { button, report } from "./parts.js";
import { base64, redone } from "./redo.js";
import { say, state } from "./store.js";

/** The address that shows the recipe's pictures again, or null where only the latent brings them back. */
export function addressOf(recipe) {
  const model = recipe.model?.split("@")[0];
  const seeds = recipe.items?.length ? recipe.items.map((item) => item.seed) : [recipe.seed];
  const inOrder = seeds.every((seed, k) => Number.isInteger(seed) && seed === (seeds[0] + k) % 2 ** 32);
  if ((recipe.op ?? "sample") !== "sample" || !inOrder) return null;
  const label = recipe.items && !recipe.label ? undefined : recipe.label;
  const query = { model, seed: seeds[0], n: seeds.length, truncation: recipe.truncation, label };
  return `#sample?${new URLSearchParams(Object.entries(query).filter(([, v]) => v !== undefined && v !== null))}`;
}

async function toShelf(file, recipe, close) {
  const name = `restored-${crypto.randomUUID().slice(0, 6)}`;
  try {
    await postJson("/latents", { name, from: { image: await base64(file) } });
    close();
    if (state.shelf) state.shelf.stale = true;
    location.hash = `#shelf?model=${recipe.model.split("@")[0]}`;
    say(`On the shelf as ${name}`);
  } catch (error) { report(error); }
}

export function restoreDialog(dialog, close) {
  const { file, recipe, sharpen } = dialog;
  const address = addressOf(recipe);
  const facts = Object.entries(recipe).filter(([k, v]) => !["version", "latent", "items", "stops", "operands"].includes(k) && typeof v !== "object");
  const latent = recipe.latent !== undefined && !recipe.items;
  return html`<h2 id="dialog-title">This picture was made by Ganymede</h2><dl class="facts">${facts.map(([k, v]) => html`<div><dt>${k}</dt><dd class="mono">${String(v)}</dd></div>`)}${recipe.items?.length ? html`<div><dt>pictures</dt><dd class="mono">${recipe.items.length}</dd></div>` : nothing}</dl>
    <div class="actions">${address ? button("Restore", () => { close(); location.hash = address; say("Restored"); }, { kind: "main" }) : nothing}
    ${redone(dialog, address ? "" : "main")}${latent || (address && !recipe.items) ? button("Put its latent on the shelf", () => toShelf(file, recipe, close), { kind: address ? "" : "main" }) : nothing}${button("Sharpen it", () => { close(); sharpen(); })}</div>`;
}
