// What a level added: the picture minus the enlarged one before it, around middle grey.

const load = (src) => new Promise((resolve, reject) => { const image = new Image(); image.onload = () => resolve(image); image.onerror = reject; image.src = src; });

function pixels(image, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  return [canvas, context, context.getImageData(0, 0, width, height)];
}

/** A data URL of `level` minus `before`, doubled so that it can be seen. */
export async function residual(before, level) {
  const [low, high] = await Promise.all([load(before), load(level.src)]);
  const [, , under] = pixels(low, level.width, level.height);
  const [canvas, context, over] = pixels(high, level.width, level.height);
  for (let k = 0; k < over.data.length; k += 1) if (k % 4 !== 3) over.data[k] = 128 + 2 * (over.data[k] - under.data[k]);
  context.putImageData(over, 0, 0);
  return canvas.toDataURL();
}
