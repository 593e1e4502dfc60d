"""The evidence page: facts are measured once, and nothing is claimed that was not measured."""

from pathlib import Path

from tests.training.conftest import TrainerFactory
from training.evidence import few_labels
from training.evidence.facts import Facts
from training.evidence.improved_page import write_page


def test_a_fact_is_measured_once(tmp_path: Path) -> None:
    """A second command finds what the first one measured, even when it has no time left."""
    taken: list[int] = []

    def take() -> dict[str, int]:
        taken.append(1)
        return {"wrong": 100}

    first = Facts(tmp_path / "facts.jsonl")
    assert first.measure("a", take) == Facts(tmp_path / "facts.jsonl").get("a")
    again = Facts(tmp_path / "facts.jsonl", minutes=1e-9)
    assert again.measure("a", take) is not None
    assert again.measure("b", take) is None
    assert taken == [1]
    some = Facts(tmp_path / "facts.jsonl", only="ablation.")
    assert some.measure("scores.x", take) is None
    assert some.measure("ablation.x", take) is not None


def test_a_new_bundle_is_measured_again(tmp_path: Path) -> None:
    """A figure never outlives the weights it was measured on; the file keeps both lines and the last one counts."""
    for weights, wrong in (("a1", 9), ("a2", 5), ("a2", 7)):
        facts = Facts(tmp_path / "facts.jsonl")
        facts.measure("error", lambda v=weights, w=wrong: {"wrong": w, "weights": v}, of=weights)  # type: ignore[misc]
    found = Facts(tmp_path / "facts.jsonl").get("error")
    assert found is not None
    assert (found["wrong"], found["weights"]) == (5, "a2")


def test_what_was_not_measured_is_said_not_to_be(tmp_path: Path) -> None:
    """Without facts every section says so; with one, its figure and nothing else appears."""
    facts = Facts(tmp_path / "facts.jsonl")
    write_page(tmp_path / "page.md", facts)
    assert (tmp_path / "page.md").read_text().count("not run") >= 30
    facts.measure("test_error.mnist-ssl", lambda: {"wrong": 1234, "of": 10000, "labels": 100, "steps": 5})
    for seed, value in ((0, 1.0), (1, 3.0)):
        facts.measure(f"ablation.mnist.-LS.{seed}", lambda v=value: {"cls_score": v, "cls_frechet": 7.0, "steps": 9})  # type: ignore[misc]
    for seed, wrong in ((0, 200), (1, 300)):
        row = {"wrong": wrong, "of": 10000, "labels": 50, "steps": 7, "batch": 9, "seed": seed}
        facts.measure(f"few_labels.mnist-ssl.50.{seed}", lambda r=row: r)  # type: ignore[misc]
    for step, wrong in ((1000, 500), (500, 600)):
        point = {"wrong": wrong, "of": 1000, "labels": 40, "steps": step, "batch": 10, "epochs": step / 500}
        facts.measure(f"{few_labels.CURVE}.{step}", lambda p=point: p | {"average_images": 2000})  # type: ignore[misc]
    write_page(tmp_path / "page.md", facts)
    page = (tmp_path / "page.md").read_text()
    assert "| mnist-ssl | 100 | 5 | 1234 | 10000 |" in page
    assert "| mnist-ssl | 50 | 7 × 9 | 250 ± 71 (n=2) | 221 ± 136 |" in page
    assert "| mnist-ssl | 20 | not run | not run | 1677 ± 452 |" in page
    assert "| 1.00 | 500 | 600 of 1000 | 60.0% |\n| 2.00 | 1,000 | 500 of 1000 | 50.0% |" in page
    assert "| -LS | 2 ± 1.4 (n=2) | 7 ± 0 (n=2) | not run | not run |" in page


def test_a_curve_is_of_the_checkpoints_a_run_keeps(trainer: TrainerFactory) -> None:
    """Each is counted on the test set by itself; an epoch is as many unlabelled pictures as there are."""
    small = {"semi_supervised__generator": "[16, 16]", "semi_supervised__discriminator": "[16, 16, 16]"}
    kept = {"run__snapshot_every": 6, "run__steps": 12, "run__keep_checkpoints": 4}
    run = trainer("fashion-ssl", data__labelled=6, data__channels=1, **small, **kept)
    run.run()
    points = [few_labels.of_checkpoint(run.folder, step, limit=10) for step in (6, 12)]
    assert [(point["steps"], point["of"], point["epochs"]) for point in points] == [(6, 10, 1.0), (12, 10, 2.0)]
    assert all(0 <= point["wrong"] <= 10 for point in points)
