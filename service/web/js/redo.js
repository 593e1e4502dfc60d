// A save file made again: the very same pixels, by POST /redo; a sharpened one asks for the picture it was made from.

import { html, nothing } from "../vendor/lit-html.js";
import { download, getBlob } from "./api.js";
import { button } from "./parts.js";
import { redraw, state } from "./store.js";

const ENDINGS = { "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp" };

async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let k = 0; k < bytes.length; k += 8192) text += String.fromCharCode(...bytes.subarray(k, k + 8192));
  return btoa(text);
}

/** Ask the server; what came of it is kept beside the dialog and drawn by `redone`. */
async function redo(dialog, source) {
  dialog.redo = { busy: true };
  redraw();
  try {
    const json = { recipe: dialog.recipe, ...(source ? { source: await base64(source) } : {}) };
    const accept = ENDINGS[dialog.file.type] ? dialog.file.type : "image/png";
    const blob = await getBlob("POST", "/redo", { json, accept, headers: { prefer: "wait=60" } });
    dialog.redo = { blob, url: URL.createObjectURL(blob), name: `again.${ENDINGS[accept] ?? "png"}` };
  } catch (error) { dialog.redo = { problem: error.message }; }
  if (state.dialog === dialog) redraw();
}

/** The button that makes it again, and what came of it. */
export function redone(dialog, kind) {
  const made = dialog.redo ?? {};
  const pick = (event) => event.target.files[0] && redo(dialog, event.target.files[0]);
  return html`${dialog.recipe.op === "upsample"
    ? html`<label class="hint">The picture it was made from <input type="file" accept="image/*" id="redo-source" @change=${pick}></label>`
    : button("Make it again", () => redo(dialog), { kind })}
    ${made.busy ? html`<p class="hint" role="status">Making it again …</p>` : nothing}${made.problem ? html`<p class="hint" role="alert">${made.problem}</p>` : nothing}
    ${made.url ? html`<figure id="redone"><img src=${made.url} alt="The picture, made again"><figcaption>${button("Download", () => download(made.blob, made.name))}</figcaption></figure>` : nothing}`;
}

export { base64 };
