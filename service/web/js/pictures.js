// Pictures by their address. An <img> cannot send an API key: with one, they are fetched and shown as blob: addresses.

import { getBlob, hasKey } from "./api.js";
import { report } from "./parts.js";
import { redraw } from "./store.js";

export const NOTHING = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="; // one clear pixel
const MOST = 300; // as many as are held at once; the oldest go first
const held = new Map();

/** What to give an <img>: the address itself, or, where the server asks for a key, what was fetched from there. */
export function shown(address) {
  if (!hasKey() || !address) return address ?? NOTHING;
  if (!held.has(address)) fetchOne(address);
  return held.get(address);
}

async function fetchOne(address) {
  held.set(address, NOTHING);
  if (held.size > MOST) forget(held.keys().next().value);
  try {
    held.set(address, URL.createObjectURL(await getBlob("GET", address, { accept: "image/*" })));
    redraw();
  } catch (error) { report(error); }
}

function forget(address) {
  URL.revokeObjectURL(held.get(address));
  held.delete(address);
}
