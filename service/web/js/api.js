// The public HTTP API and nothing else: JSON, blobs, forms and event streams, with problem documents as errors.

import { update } from "./store.js";

const KEY = "ganymede-api-key";

export class Problem extends Error {
  constructor(status, body) {
    const first = body.errors?.[0];
    super(first && !body.detail?.includes(first.detail) ? `${body.detail}: ${first.detail}` : body.detail ?? body.title ?? `status ${status}`);
    this.status = status;
    this.body = body;
  }
}

export const setKey = (key) => sessionStorage.setItem(KEY, key);
export const hasKey = () => Boolean(sessionStorage.getItem(KEY));

/** fetch with the key, if there is one; throws Problem for every refusal. */
export async function call(method, path, { json, form, accept = "application/json", headers = {}, signal } = {}) {
  const all = { accept, ...headers };
  const key = sessionStorage.getItem(KEY);
  if (key) all.authorization = `Bearer ${key}`;
  if (json !== undefined) all["content-type"] = "application/json";
  const body = form ?? (json === undefined ? undefined : JSON.stringify(json));
  const answer = await fetch(path, { method, headers: all, body, signal, credentials: "omit" });
  if (answer.ok) return answer;
  if (answer.status === 401) update("", { dialog: "key", wrongKey: Boolean(key) });
  throw new Problem(answer.status, await answer.json().catch(() => ({ detail: `the server answered ${answer.status}` })));
}

export const getJson = async (path, options) => (await call("GET", path, options)).json();
export const postJson = async (path, json, options) => (await call("POST", path, { json, ...options })).json();
export const getBlob = async (method, path, options) => (await call(method, path, options)).blob();

/** Server-sent events of a POST or GET, one {event, data, id} at a time. */
export async function* events(method, path, options = {}) {
  const answer = await call(method, path, { ...options, accept: "text/event-stream" });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      buffer += value;
      const parts = buffer.split("\n\n");
      buffer = parts.pop();
      for (const part of parts) {
        const found = parse(part);
        if (found) yield found;
      }
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

function parse(text) {
  const fields = {};
  for (const line of text.split("\n")) {
    const at = line.indexOf(": ");
    if (at > 0) fields[line.slice(0, at)] = (fields[line.slice(0, at)] ?? "") + line.slice(at + 2);
  }
  return fields.data === undefined ? null : { event: fields.event ?? "message", id: fields.id, data: JSON.parse(fields.data) };
}

export const dataUrl = (item) => `data:image/png;base64,${item.b64_json}`;

export function download(blobOrUrl, name) {
  const url = typeof blobOrUrl === "string" ? blobOrUrl : URL.createObjectURL(blobOrUrl);
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  if (typeof blobOrUrl !== "string") setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
