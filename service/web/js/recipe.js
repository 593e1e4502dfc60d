// A dropped save file says how it was made: the recipe inside a PNG, WebP, JPEG or GIF, read here without decoding the picture.

const latin = new TextDecoder("latin1");
const utf8 = new TextDecoder();
const MARK = "ganymede ";

/** The recipe inside a file, or null. */
export async function recipeOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const head = latin.decode(bytes.subarray(0, 12));
  const texts = head.startsWith("PNG", 1) ? png : head.startsWith("\xff\xd8") ? jpeg : head.startsWith("GIF8") ? gif : head.startsWith("RIFF") && head.endsWith("WEBP") ? webp : () => [];
  try {
    for (const text of texts(bytes, new DataView(bytes.buffer))) {
      const found = text instanceof Promise ? await text : text;
      if (found.startsWith(`${MARK}{`)) return JSON.parse(found.slice(MARK.length).replace(/\0+$/, ""));
    }
  } catch { /* damaged: not a save file */ }
  return null;
}

function* png(bytes, view) {
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at), body = bytes.subarray(at + 8, at + 8 + length);
    const type = latin.decode(bytes.subarray(at + 4, at + 8));
    if (type === "iTXt") yield international(body);
    if (type === "tEXt") yield latin.decode(body.subarray(body.indexOf(0) + 1));
    if (type === "eXIf") yield comment(body);
    at += 12 + length;
  }
}

async function international(chunk) {
  const end = chunk.indexOf(0);
  if (latin.decode(chunk.subarray(0, end)) !== "ganymede") return "";
  const body = chunk.subarray(chunk.indexOf(0, chunk.indexOf(0, end + 3) + 1) + 1);
  const plain = new Blob([body]).stream();
  return MARK + (await new Response(chunk[end + 1] === 1 ? plain.pipeThrough(new DecompressionStream("deflate")) : plain).text());
}

function* jpeg(bytes, view) {
  let pieces = "";
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda; at += 2 + view.getUint16(at + 2)) {
    const body = bytes.subarray(at + 4, at + 2 + view.getUint16(at + 2));
    if (bytes[at + 1] === 0xfe) {
      const text = utf8.decode(body), numbered = /^ganymede \d+\/\d+ /.exec(text);
      if (numbered) pieces += text.slice(numbered[0].length);
      else yield text;
    } else if (bytes[at + 1] === 0xe1 && latin.decode(body.subarray(0, 4)) === "Exif") yield comment(body.subarray(6));
  }
  yield pieces;
}

function* webp(bytes, view) {
  for (let at = 12; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at + 4, true);
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (latin.decode(bytes.subarray(at, at + 4)) === "EXIF") yield comment(latin.decode(body.subarray(0, 4)) === "Exif" ? body.subarray(6) : body);
    at += 8 + length + (length % 2);
  }
}

function* gif(bytes) {
  const table = (flags) => (flags & 0x80 ? 3 * (2 << (flags & 7)) : 0);
  for (let at = 13 + table(bytes[10]); bytes[at] === 0x21 || bytes[at] === 0x2c; ) {
    const said = bytes[at] === 0x21 && bytes[at + 1] === 0xfe;
    at += bytes[at] === 0x2c ? 11 + table(bytes[at + 9]) : 2;
    let text = "";
    for (; bytes[at]; at += 1 + bytes[at]) if (said) text += latin.decode(bytes.subarray(at + 1, at + 1 + bytes[at]));
    at += 1;
    yield text;
  }
}

/** The user comment of an EXIF block: the tag 0x9286 in the folder that 0x8769 points to. */
function comment(block) {
  const view = new DataView(block.buffer, block.byteOffset, block.length), little = block[0] === 0x49;
  const entry = (folder, tag) => {
    for (let k = 0; k < view.getUint16(folder, little); k++) {
      const at = folder + 2 + 12 * k;
      if (view.getUint16(at, little) === tag) return [view.getUint32(at + 4, little), view.getUint32(at + 8, little)];
    }
    return null;
  };
  const inner = entry(view.getUint32(4, little), 0x8769), found = inner && entry(inner[1], 0x9286);
  return found ? utf8.decode(block.subarray(found[1] + 8, found[1] + found[0])) : "";
}
