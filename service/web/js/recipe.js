// A dropped PNG of ours says how it was made: the iTXt chunk `ganymede`, read here without decoding the picture.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const latin = new TextDecoder("latin1");

/** The recipe of a Ganymede PNG, or null. */
export async function recipeOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (!SIGNATURE.every((b, k) => bytes[k] === b)) return null;
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const type = latin.decode(bytes.subarray(at + 4, at + 8));
    if (type === "iTXt") {
      const found = await readText(bytes.subarray(at + 8, at + 8 + length));
      if (found) return found;
    }
    if (type === "IDAT") return null;
    at += 12 + length;
  }
  return null;
}

async function readText(chunk) {
  const end = chunk.indexOf(0);
  if (latin.decode(chunk.subarray(0, end)) !== "ganymede") return null;
  const packed = chunk[end + 1] === 1;
  const language = chunk.indexOf(0, end + 3);
  const body = chunk.subarray(chunk.indexOf(0, language + 1) + 1);
  try {
    const plain = packed ? new Blob([body]).stream().pipeThrough(new DecompressionStream("deflate")) : new Blob([body]).stream();
    return JSON.parse(await new Response(plain).text());
  } catch {
    return null;
  }
}
