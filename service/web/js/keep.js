// What any picture can be asked to do: keep its latent, be downloaded, join a walk.

import { dataUrl, download, postJson } from "./api.js";
import { report } from "./parts.js";
import { redraw, say, state } from "./store.js";

/** Save a picture's latent under a name made from its seed; a taken name is not an error when it is this very seed. */
export async function keep(entry, model, tags = []) {
  const plain = entry.seed !== null && entry.recipe?.op === "sample" && (entry.recipe.truncation ?? 1) === 1;
  const name = plain ? `${model.name}-${entry.seed}` : `${model.name}-${Math.random().toString(36).slice(2, 8)}`;
  const from = plain ? { seed: entry.seed, ...(entry.label ? { label: entry.label } : {}) } : { image: entry.b64_json };
  try {
    const saved = await postJson("/latents", { name, model: model.name, tags, from });
    if (!tags.includes("walk")) say(`Saved as ${saved.name}`);
    if (state.shelf) Object.assign(state.shelf, { stale: true, wanted: model.name });
    return saved.name;
  } catch (error) {
    if (error.status === 409 && plain) say(`${name} is on the shelf already`);
    else report(error);
    return error.status === 409 ? name : null;
  }
}

export function fetchPicture(entry) {
  download(dataUrl(entry), `${entry.recipe?.model?.split("@")[0] ?? "picture"}-${entry.seed ?? entry.latent ?? entry.index}.png`);
}

export function addStop(stop, model) {
  const walk = (state.walk ??= {});
  if (walk.model && walk.model !== model.name) walk.stops = [];
  walk.model = model.name;
  walk.stops = [...(walk.stops ?? []), stop];
  walk.stale = true;
  say(`Stop ${walk.stops.length} of the walk: ${typeof stop === "number" ? `seed ${stop}` : stop}`);
  redraw();
}

