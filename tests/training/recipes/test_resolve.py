"""Recipes: what a person may write, and what they are told when it is wrong."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.errors import RecipeError
from training.recipes.resolve import from_tree, known_keys, names, resolve, to_toml


@pytest.mark.parametrize("name", names())
def test_shipped_recipes_resolve_and_survive_being_written_down(name: str, tmp_path: Path) -> None:
    """What the run folder holds is the same recipe again, with no key left to a default."""
    recipe = resolve(name)
    text = to_toml(recipe)
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    assert resolve(str(tmp_path / "recipe.toml")) == recipe
    assert set(dotted(tomllib.loads(text))) == set(known_keys())


def dotted(tree: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        yield from dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]


def test_extends_keeps_what_is_not_overridden(tmp_path: Path) -> None:
    """A recipe changes its parent; an override changes both."""
    (tmp_path / "mine.toml").write_text('extends = "dcgan-modern"\n[generator]\nwidth = 8\n')
    recipe = resolve(str(tmp_path / "mine.toml"), ["run.batch=16", "data.name=My pictures"])
    assert (recipe.name, recipe.generator.width, recipe.run.batch) == ("mine", 8, 16)
    assert recipe.data.name == "My pictures"
    assert recipe.augment == resolve("dcgan-modern").augment


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("run.stepz=5", "run.steps"),
        ("steps=5", "run.steps"),
        ("data.size=50", "the nearest that can are 48 and 56"),
        ("run.batch", "key=value"),
        ("loss.kind=hing", "hinge"),
        ("run.steps=soon", "run.steps"),
        ("loss.auxiliary=1", "data.labels"),
    ],
)
def test_a_wrong_override_is_explained(override: str, words: str) -> None:
    """The message names the key, and the nearest known one or the allowed values."""
    with pytest.raises(RecipeError, match=words):
        resolve("dcgan-modern", [override])


def test_height_by_width() -> None:
    """`64x96` sets both; what cannot take it says who can; a size that does not halve names the nearest."""
    assert resolve("dcgan-modern", ["data.size=64x96"]).data.sides == (64, 96)
    assert resolve("dcgan-modern", ["data.size=48"]).data.sides == (48, 48)
    with pytest.raises(RecipeError, match="the nearest that can are 96 and 112"):
        resolve("dcgan-modern", ["data.size=100"])
    with pytest.raises(RecipeError, match="take square pictures"):
        resolve("lapgan-modern", ["data.size=64x96"])


def test_an_unknown_key_in_a_file_names_the_nearest_one(tmp_path: Path) -> None:
    """A typo in TOML is not a default."""
    (tmp_path / "r.toml").write_text("[generator]\nwdith = 8\n")
    with pytest.raises(RecipeError, match=r"generator\.wdith.*generator\.width"):
        resolve(str(tmp_path / "r.toml"))


@pytest.mark.parametrize(("earlier", "now"), [("projected", "projected"), ("pixels", "plain")])
def test_a_recipe_of_an_earlier_bundle_is_read(earlier: str, now: str) -> None:
    """Manifests and run folders keep the words their day had: `pyramid.judge` is `pyramid.discriminator` today."""
    pyramid = {"sizes": [16, 32], "discriminator": "plain", "judge": earlier}
    recipe = from_tree({"name": "kept", "algorithm": "lapgan", "data": {"size": 32}, "pyramid": pyramid})
    assert recipe.pyramid.discriminator == now


def test_circles_are_refused(tmp_path: Path) -> None:
    """Two recipes cannot extend each other."""
    for a, b in (("a", "b"), ("b", "a")):
        (tmp_path / f"{a}.toml").write_text(f'extends = "{tmp_path / b}.toml"\n')
    with pytest.raises(RecipeError, match="circle"):
        resolve(str(tmp_path / "a.toml"))


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=40))
def test_any_text_as_override_is_a_recipe_error_or_a_value(text: str) -> None:
    """No traceback whatever is typed."""
    for key in ("data.name", "run.steps", text):
        try:
            recipe = resolve("dcgan-modern", [f"{key}={text}"])
        except RecipeError:
            continue
        assert from_tree(recipe.model_dump()) == recipe


def test_every_known_key_is_dotted_and_unique() -> None:
    """The list behind 'did you mean' is complete."""
    keys = list(known_keys())
    assert len(keys) == len(set(keys))
    assert {"name", "run.steps", "optimizer.generator.lr"} <= set(keys)
