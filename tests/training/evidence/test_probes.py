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
    fact = facts.measure("features.cifar10", lambda: probes.of_run(made.folder.path))
    assert fact is not None
    found = fact["found"]
    assert found["trained.size"] == found["random.size"] == (4 + 8) * 16
    assert found["pixels.size"] == 3 * 16 * 16
    assert all(found[f"{name}.all"] > 0.9 for name in ("trained", "random", "pixels"))
    write_page(tmp_path / "page.md", facts)
    page = (tmp_path / "page.md").read_text()
    assert "| trained | 192 |" in page
    assert f"| {found['trained.all']:.1%} |" in page
    assert "2 steps of 8 pictures; all 48 test pictures" in page
