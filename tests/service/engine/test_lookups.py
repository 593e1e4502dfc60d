"""What the catalogue finds in folders and what a name means there; bundles are real, no graph is opened."""

import json
import shutil
import time
from pathlib import Path

import pytest

from models.bundle import Bundle, read_bundle, write_manifest
from service.engine import catalogue as module
from service.engine.catalogue import Catalogue, candidates
from service.engine.model import Model
from service.engine.versions import Choices
from service.errors import NotFoundError, UnavailableError


@pytest.fixture
def folder(bundle_folder: Path, tmp_path: Path) -> Path:
    """Two bundles of one's own: tiny and tiny-labels."""
    for name in ("tiny", "tiny-labels"):
        shutil.copytree(bundle_folder / name, tmp_path / "mine" / name)
    return tmp_path / "mine"


@pytest.fixture
def newer(bundle_folder: Path, tmp_path: Path) -> Bundle:
    """Another version of the name tiny."""
    copy = Path(shutil.copytree(bundle_folder / "tiny", tmp_path / "newer" / "tiny"))
    fields = json.loads((copy / "manifest.json").read_text())
    fields.pop("files")
    return write_manifest(copy, fields | {"description": "trained for longer"})


def catalogue_of(*roots: Path, default: str | None = None, side_by_side: int = 1) -> Catalogue:
    return Catalogue(lambda: (list(roots), {}), Model, default, side_by_side)


def names(catalogue: Catalogue) -> list[str]:
    return [model.bundle.name for model in catalogue.all()]


def refusal(catalogue: Catalogue, reference: str) -> str:
    with pytest.raises(NotFoundError) as caught:
        catalogue.get(reference)
    return str(caught.value)


def test_bundles_lie_in_a_folder_or_are_one(folder: Path, tmp_path: Path) -> None:
    """In order of their names; what is hidden, unfinished or no folder is none, and so is a root that is not there."""
    shutil.copytree(folder / "tiny", folder / ".tiny.part")
    (folder / "empty").mkdir()
    (folder / "README").write_text("mine")
    both = [folder / "tiny", folder / "tiny-labels"]
    assert list(candidates([tmp_path / "nowhere", folder, folder / "tiny"])) == [*both, folder / "tiny"]


def test_a_look_tells_what_it_opens_and_whether_anything_changed(folder: Path, newer: Bundle) -> None:
    """How many of how many, from none; a second look opens nothing; replaced or removed folders are changes."""
    catalogue, heard = catalogue_of(folder, side_by_side=2), []
    assert not catalogue.ready
    assert catalogue.refresh(lambda *progress: heard.append(progress))
    assert (heard, catalogue.ready, names(catalogue)) == ([(0, 2), (1, 2), (2, 2)], True, ["tiny", "tiny-labels"])
    assert not catalogue.refresh()
    before = catalogue.get("tiny")
    shutil.rmtree(folder / "tiny")
    shutil.copytree(newer.folder, folder / "tiny")
    assert catalogue.refresh()
    assert catalogue.get("tiny").reference == newer.reference != before.reference
    shutil.rmtree(folder / "tiny-labels")
    assert catalogue.refresh()
    assert names(catalogue) == ["tiny"]


def test_the_default_can_be_opened_first(folder: Path) -> None:
    """Alone where a setting names it; with no bundle of that name all are opened at once."""
    catalogue = catalogue_of(folder, default="tiny-labels")
    catalogue.refresh(only_default=True)
    assert names(catalogue) == ["tiny-labels"]
    catalogue.refresh()
    assert names(catalogue) == ["tiny", "tiny-labels"]
    elsewhere = catalogue_of(folder, default="nowhere")
    elsewhere.refresh(only_default=True)
    assert names(elsewhere) == ["tiny", "tiny-labels"]


def test_what_a_request_means_that_names_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting's, by name or version; else the one that ships; else the first that can make pictures of seeds."""
    reference = read_bundle(folder / "tiny-labels").reference
    for default in ("tiny-labels", reference):
        catalogue = catalogue_of(folder, default=default)
        catalogue.refresh()
        assert catalogue.get(None).reference == reference
    plain = catalogue_of(folder)
    with pytest.raises(UnavailableError, match="no bundle is loaded") as caught:
        plain.default()
    assert caught.value.headers["Retry-After"] == "2"
    plain.refresh()
    assert plain.default().bundle.name == "tiny"
    monkeypatch.setattr(module, "PREFERRED_DEFAULT", "tiny-labels")
    assert plain.default().bundle.name == "tiny-labels"


def test_an_unknown_name_is_answered_with_a_way_on(folder: Path) -> None:
    """The nearest name, else all of them; the digests that are served; whether it was unloaded."""
    catalogue = catalogue_of(folder)
    assert catalogue.all() == catalogue.defaults() == []
    for reference in ("tiny", "tiny@0123"):
        assert refusal(catalogue, reference) == "there is no model 'tiny'"
    catalogue.refresh()
    digest = catalogue.get("tiny").bundle.digest
    assert refusal(catalogue, "tinny") == "there is no model 'tinny'; did you mean 'tiny'?"
    assert refusal(catalogue, "qqqq") == "there is no model 'qqqq'; there are tiny, tiny-labels"
    assert refusal(catalogue, "tiny@0123") == f"tiny is served at digest {digest}, not 0123"
    assert catalogue.choose(Choices(unloaded=frozenset({f"tiny@{digest}"})))
    assert refusal(catalogue, "tiny") == "there is no model 'tiny'; did you mean 'tiny-labels'?"
    catalogue.refresh()
    assert refusal(catalogue, "tiny") == "tiny is unloaded"
    assert refusal(catalogue, f"tiny@{digest}") == f"tiny@{digest} is unloaded"
    assert refusal(catalogue, "tiny@0123") == "there is no model 'tiny'; did you mean 'tiny-labels'?"


def test_versions_of_a_name_stand_side_by_side(folder: Path, newer: Bundle) -> None:
    """The name means the first folder's until it is decided otherwise, and its version is listed first."""
    catalogue = catalogue_of(folder, newer.folder.parent)
    catalogue.refresh()
    older = catalogue.get("tiny")
    assert older.reference != newer.reference
    assert catalogue.is_default(older)
    choices = Choices({"tiny": newer.digest, "other": "0123"})
    assert catalogue.choose(choices)
    assert not catalogue.choose(choices)
    assert catalogue.get("tiny") is catalogue.get(newer.reference)
    assert [model.reference for model in catalogue.all()][:2] == [newer.reference, older.reference]
    assert [model.bundle.name for model in catalogue.defaults()] == ["tiny", "tiny-labels"]


def test_why_a_folder_is_refused_is_kept_until_it_is_mended(folder: Path) -> None:
    """A twin, a graph that does not run (its class alone: paths in it are nobody's business); then it is served or gone."""
    shutil.copytree(folder / "tiny", folder / "twin")
    broken = {"tiny-labels"}

    def opening(bundle: Bundle) -> Model:
        if bundle.name in broken:
            raise MemoryError("/secret/path")
        return Model(bundle)

    catalogue = Catalogue(lambda: ([folder], {"mine.zip": "this is not a readable zip"}), opening, None)
    catalogue.refresh()
    reference = catalogue.get("tiny").reference
    assert catalogue.refused == {
        "twin": f"another folder already serves {reference}",
        "tiny-labels": "the graph does not run: MemoryError",
        "mine.zip": "this is not a readable zip",
    }
    broken.clear()
    (folder / "tiny-labels" / "manifest.json").touch()
    shutil.rmtree(folder / "twin")
    catalogue.refresh()
    assert list(catalogue.refused) == ["mine.zip"]
    assert names(catalogue) == ["tiny", "tiny-labels"]


def test_an_unloaded_version_stays_for_what_was_accepted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a minute, and for accepted work alone; longer if it is opened again; then it is loaded anew."""
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    catalogue = catalogue_of(folder)
    catalogue.refresh()
    model = catalogue.get("tiny")
    catalogue.choose(Choices(unloaded=frozenset({model.reference})))
    assert catalogue.refresh() is False
    assert [bundle.name for bundle in catalogue.unloaded()] == ["tiny"]
    with catalogue.accepted():
        clock[0] += module.KEEP_S - 1
        catalogue.refresh()
        assert catalogue.get(model.reference) is model
        catalogue.reopen(model.reference)
        assert catalogue.get(model.reference) is model, "it is still open"
        clock[0] += 1
        catalogue.refresh()
        assert refusal(catalogue, model.reference).endswith("is unloaded")
        catalogue.reopen(model.reference)
        catalogue.reopen("tiny@0123")
        assert catalogue.get(model.reference).reference == model.reference
    assert refusal(catalogue, model.reference).endswith("is unloaded")
    catalogue.choose(Choices())
    assert catalogue.refresh()
    assert (catalogue.get("tiny").reference, catalogue.unloaded()) == (model.reference, [])


def test_a_version_that_is_unloaded_from_the_start_is_not_opened(folder: Path) -> None:
    """Its files are checked and it is listed; no graph of it is opened."""
    reference, opened = read_bundle(folder / "tiny").reference, []

    def opening(bundle: Bundle) -> Model:
        opened.append(bundle.name)
        return Model(bundle)

    catalogue = Catalogue(lambda: ([folder], {}), opening, None)
    catalogue.choose(Choices(unloaded=frozenset({reference})))
    catalogue.refresh()
    assert opened == names(catalogue) == ["tiny-labels"]
    assert [bundle.reference for bundle in catalogue.unloaded()] == [reference]
    shutil.rmtree(folder / "tiny")
    catalogue.refresh()
    assert catalogue.unloaded() == []
