"""The model card: README.md of a bundle, front matter first, written from the manifest so that the two cannot differ."""

from __future__ import annotations

import json
from pathlib import Path

from models.manifest import STRAIGHT, Cut, Level, Manifest
from training.recipes.tables import DataTable


def write_card(path: Path, manifest: Manifest) -> None:
    """Writes the card of a bundle that was trained by a recipe."""
    path.write_text(card(manifest), encoding="utf-8")


def card(manifest: Manifest) -> str:
    """The card's text; what it says of the data comes from the recipe inside the manifest."""
    data = DataTable.model_validate(manifest.provenance.recipe.get("data", {}))
    parts = [
        _front_matter(manifest),
        f"# {manifest.name}\n\n{manifest.description}.\n\n![Samples of fixed seeds](preview.png)",
        _what(manifest),
        _data(manifest, data),
        _training(manifest),
        _scores(manifest),
        _alone(manifest),
        _limits(data),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(manifest: Manifest) -> str:
    facts = {
        "license": manifest.provenance.licence,
        "datasets": [manifest.provenance.dataset],
        "dataset_license": manifest.provenance.dataset_licence,
        "library_name": "ganymede",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["gan", manifest.family, f"{manifest.image.height}x{manifest.image.width}"],
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in facts.items()]
    return "\n".join(["---", *lines, "---"])


def _what(manifest: Manifest) -> str:
    colour = "grey" if manifest.image.channels == 1 else "RGB"
    sizes = " → ".join(f"{level.output[0]}×{level.output[1]}" for level in manifest.levels)
    lines = [
        "## What it is",
        f"- Family: {manifest.family}; {len(manifest.levels)} level(s): {sizes}, {colour}.",
        f"- Latent: {manifest.latent.size} numbers, {manifest.latent.distribution.replace('_', ' ')}{_space(manifest)}.",
    ]
    if manifest.labels:
        lines.append(f"- Labels: {', '.join(manifest.labels)}.")
    if manifest.discriminator:
        lines.append(f"- Discriminator: {manifest.discriminator.feature_size} features a picture.")
    return "\n".join([lines[0], "", *lines[1:]])


def _space(manifest: Manifest) -> str:
    """What a straightened space (`ganymede directions straighten`) is, which its cut's name tells."""
    named = {cut.name for cut in manifest.latent.cuts}
    behind = ", turned until attributes lie straight in them; the network's own latent is behind"
    return behind if STRAIGHT in named else ""


def _data(manifest: Manifest, data: DataTable) -> str:
    origin = f" {data.origin}." if data.origin else ""
    facts = manifest.provenance
    return f"## Training data\n\n{facts.dataset}.{origin} Licence of the data: {facts.dataset_licence}."


def _training(manifest: Manifest) -> str:
    facts = manifest.provenance
    origin = Path(facts.recipe.get("run", {}).get("init_from", "")).name
    begun = f"begun with the generator of {origin}, " if origin else ""
    mean_of = ", ".join(facts.recipe.get("run", {}).get("mean_of", ()))
    begun += f"weights the mean of {mean_of}, " if mean_of else ""
    seen = "real pictures shown to the discriminator"
    matching = facts.recipe.get("matching", {})
    if matching.get("networks"):
        seen = "pictures drawn, the moments of whose features were brought nearer to those of real ones"
    if matching.get("attributes"):
        seen += (
            " and the attributes of which an own classifier of real pictures tells were made linear in their latents"
        )
    kept = _kept(manifest, origin) if origin and matching.get("networks") else ""
    return (
        f"## Training\n\n{facts.steps:,} steps, {facts.images_seen:,} {seen}, {begun}"
        f"seed {facts.seed}, code {facts.code_version}.{kept} The complete recipe is in `manifest.json`."
    )


def _kept(manifest: Manifest, origin: str) -> str:
    """What else is in the bundle than the generator that was trained on."""
    if manifest.discriminator is None:
        return ""
    if manifest.discriminator.kind == "classes":
        return " Its classifier is the one that run ended with."
    return f" Its discriminator is the one that {origin} had, and never saw these pictures."


def _scores(manifest: Manifest) -> str:
    if not manifest.scores:
        return ""
    rows = [f"| {score.name} | {score.value:.4g} | {score.protocol} |" for score in manifest.scores]
    return "\n".join(["## Scores", "", "| score | value | how it was measured |", "|---|---|---|", *rows])


def _alone(manifest: Manifest) -> str:
    """The lines that make a picture of a seed with plain onnxruntime; none for a bundle that only enlarges."""
    if not manifest.samples:
        return ""
    draw = "standard_normal({})" if manifest.latent.distribution == "standard_normal" else "uniform(-1, 1, {})"
    lines = [
        "import numpy, onnxruntime",
        "from PIL import Image",
        "",
        "seed = 42",
        f'latent = numpy.random.RandomState(seed).{draw.format(manifest.latent.size)}.astype("float32")',
    ]
    start = 0
    for level, cut in zip(manifest.levels, manifest.latent.cuts, strict=True):
        lines += _level_lines(manifest, level, start, cut)
        start += cut.size
    lines += [
        'pixels = numpy.clip(numpy.rint((picture[0] + 1) * 127.5), 0, 255).astype("uint8").transpose(1, 2, 0)',
        'Image.fromarray(pixels.squeeze()).save(f"{seed}.png")',
    ]
    return "\n".join(["## Without Ganymede", "", "```python", *lines, "```"])


def _level_lines(manifest: Manifest, level: Level, start: int, cut: Cut) -> list[str]:
    shape = ", ".join(map(str, (1, *cut.shape)))
    feeds = [f'"noise": latent[{start}:{start + cut.size}].reshape({shape})']
    if level.previous is not None:
        feeds.insert(0, '"previous": picture')
    if level.label and manifest.labels:
        count = len(manifest.labels)
        feeds.append(f'"label": numpy.eye({count}, dtype="float32")[[seed % {count}]]')
    session = f'onnxruntime.InferenceSession("{level.files.onnx_file}")'
    return [f"picture = {session}.run(None, {{{', '.join(feeds)}}})[0]"]


def _limits(data: DataTable) -> str:
    if not data.use:
        return ""
    return (
        f"## Use\n\nSamples may be used for: {data.use}. Pictures are synthetic; a likeness to a person is accidental."
    )
