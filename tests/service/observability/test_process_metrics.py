"""Figures of several processes in one answer: each its own, and none of processes that are no more."""

from pathlib import Path

from service.observability.metrics import Metrics
from service.observability.process_metrics import ProcessMetrics, labelled, merge


def test_merged_figures_keep_families_together() -> None:
    """One HELP and TYPE a family, a process label in every sample, values untouched."""
    texts = {
        "0": '# HELP a x\n# TYPE a counter\na_total{k="v{ }"} 1.0\n',
        "1": "# HELP a x\n# TYPE a counter\na_total 2.0\n",
    }
    assert merge(texts) == (
        '# HELP a x\n# TYPE a counter\na_total{process="0",k="v{ }"} 1.0\na_total{process="1"} 2.0\n'
    )
    assert labelled("b 3", "4") == 'b{process="4"} 3'


def test_a_group_that_was_larger_leaves_no_figures(tmp_path: Path) -> None:
    """Its processes were killed and could not take theirs with them; the next group has fewer."""
    for index in range(4):
        ProcessMetrics(tmp_path, index, 4, Metrics()).text()
    text = ProcessMetrics(tmp_path, 0, 2, Metrics()).text().decode()
    assert [f'process="{index}"' in text for index in range(4)] == [True, True, False, False]
