// The page's state: one object, one way to change it, one scheduled render.

export const state = {
  view: "sample", models: [], defaultModel: null, limits: {}, theme: readTheme(), toast: null, dialog: null,
};

const listeners = new Set();
let scheduled = false;

export function onChange(listener) { listeners.add(listener); }

/** Merge into a slice of the state ("" for the top) and draw once in the next frame. */
export function update(slice, patch) {
  Object.assign(slice ? (state[slice] ??= {}) : state, patch);
  redraw();
}

export function redraw() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => { scheduled = false; listeners.forEach((listener) => listener()); });
}

/** Say something to people who see it and to people who hear it. */
export function say(text, kind = "info") {
  document.getElementById("live").textContent = text;
  const toast = { text, kind };
  update("", { toast });
  setTimeout(() => { if (state.toast === toast) update("", { toast: null }); }, kind === "error" ? 7000 : 3200);
}

function readTheme() {
  try { return localStorage.getItem("ganymede-theme") ?? "auto"; } catch { return "auto"; }
}

export function setTheme(theme) {
  try { localStorage.setItem("ganymede-theme", theme); } catch { /* private mode: the choice lasts for this page */ }
  update("", { theme });
  document.documentElement.dataset.theme = theme;
}

export const modelNamed = (name) =>
  state.models.find((m) => m.name === name || m.reference === name);
export const samplers = () => state.models.filter((m) => m.samples);
export const sharpeners = () => state.models.filter((m) => m.upsampling);
export const chosenModel = (name) =>
  modelNamed(name) ?? samplers().find((m) => m.name === state.defaultModel) ?? samplers()[0];
