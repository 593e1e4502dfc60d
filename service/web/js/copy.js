// One request, four spellings: curl, Python, command line, link. They ask for exactly what the page shows; a key stays
// out of them: it is read from GANYMEDE_API_KEY.

import { hasKey } from "./api.js";

/** A request as the page knows it: {path, op, body, accept, out, file?}. `file` marks a picture sent as multipart. */
export function spellings(request) {
  const all = { curl: curl(request), Python: python(request), CLI: cli(request), link: location.href };
  return Object.fromEntries(Object.entries(all).filter(([, text]) => text !== null));
}

const quote = (text) => `'${String(text).replaceAll("'", `'\\''`)}'`;
const word = (text) => (/^[\w.@/:-]+$/.test(text) ? String(text) : quote(text));
export const given = (body) => Object.fromEntries(Object.entries(body).filter(([, v]) => v !== undefined && v !== null && v !== ""));

/** The fields of a multipart form: lists and booleans as JSON writes them. */
export const formFields = (body) => Object.entries(given(body)).map(([k, v]) => [k, typeof v === "string" ? v : JSON.stringify(v)]);

function curl({ path, body, accept, file, out }) {
  const key = hasKey() ? ' -H "Authorization: Bearer $GANYMEDE_API_KEY"' : "";
  const head = `curl -sSf ${word(location.origin + path)}${key} -H ${quote(`Accept: ${accept}`)}`;
  const rest = file
    ? [`-F ${quote(`image=@${file}`)}`, ...formFields(body).map(([k, v]) => `-F ${quote(`${k}=${v}`)}`)].join(" ")
    : `-H 'Content-Type: application/json' -d ${quote(JSON.stringify(given(body)))}`;
  return `${head} ${rest} -o ${word(out)}`;
}

function literal(value) {
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (value && typeof value === "object") return `{${Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}: ${literal(v)}`).join(", ")}}`;
  return JSON.stringify(value);
}

function python({ op, body, file, out }) {
  const words = Object.entries(given(body)).map(([k, v]) => `${k}=${literal(v)}`);
  if (file) words.unshift(`open(${literal(file)}, "rb").read()`);
  const key = hasKey() ? ', api_key=os.environ["GANYMEDE_API_KEY"]' : "";
  const head = `${key ? "import os\n" : ""}from ganymede_client import Client\n\nwith Client(${literal(location.origin)}${key}) as ganymede:\n`;
  return `${head}    pictures = ganymede.${op}(${words.join(", ")})\n    pictures.sheet.save(${literal(out.replace(/\.(gif|webp)$/, ".png"))})`;
}

const COMMANDS = {
  sample: ["sample", { model: "-m", n: "-n", seed: "--seed", label: "--label", truncation: "--truncation" }],
  arithmetic: ["arithmetic", { model: "-m" }],
  interpolate: ["walk", { model: "-m", frames: "--frames", loop: "--loop" }],
  upsample: ["upsample", { model: "-m", factor: "--factor", seed: "--seed", noise: "--noise", faithful: "--faithful", variants: "--variants" }],
};

/** The command line, or null where it has no words for a field of this request. */
function cli({ op, body, file, out }) {
  const { expression, stops, ...rest } = given(body);
  const [command, flags] = COMMANDS[op];
  const plain = (stops ?? []).every((stop) => typeof stop !== "object");
  if (!plain || Object.entries(rest).some(([key, value]) => !flags[key] && value !== false)) return null;
  const words = ["ganymede", command, ...(file ? [word(file)] : []), ...(expression ? [quote(expression)] : []), ...(stops ?? []).map(word)];
  for (const [key, value] of Object.entries(rest)) if (value !== false) words.push(value === true ? flags[key] : `${flags[key]} ${word(value)}`);
  return [...words, `--url ${location.origin}`, `-o ${op === "interpolate" ? "frames/" : word(out)}`].join(" ");
}
