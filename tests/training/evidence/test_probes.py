"""Features of a run's discriminator: learnt without labels, told apart with them."""

from pathlib import Path

from tests.training.conftest import TrainerFactory
from training.evidence import probes
from training.evidence.facts import Facts
from training.evidence.improved_page import write_page


def test_a_run_is_probed_beside_a_random_network_and_pixels(trainer: TrainerFactory, tmp_path: Path) -> None:
    """Discs and bars are easy for all three; what the page shows are the measured figures."""
    made = trainer(data__labels="none", run__steps=2)
    made.run()
    facts = Facts(tmp_path / "facts.jsonl")
    for kind, size in (("trained", 12 * 16), ("random", 12 * 16), ("pixels", 3 * 16 * 16)):
        fact = facts.measure(f"features.cifar10.{kind}", lambda k=kind: probes.of_run(made.folder.path, k))  # type: ignore[misc]
        assert fact is not None
        assert fact["size"] == size
        assert fact["all"] > 0.9
    write_page(tmp_path / "page.md", facts)
    page = (tmp_path / "page.md").read_text()
    assert "| trained | 192 |" in page
    assert page.count("| not run | not run | not run | not run | not run |") == 0
    assert "2 steps of 8 pictures; all 48 test pictures" in page
