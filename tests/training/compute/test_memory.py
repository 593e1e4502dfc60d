"""Memory that a step frees stays: taken again, its pages are there."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from training.compute.memory import keep_freed_memory
torch.set_num_threads(1)
print(keep_freed_memory())
for turn in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(2**24).add_(1)  # 64 MiB
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's own switch")
def test_a_second_step_faults_no_pages_in() -> None:
    """16,384 pages at the first turn, next to none at the last; in a process of its own, for the switch is for good."""
    lines = subprocess.run([sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True).stdout.split()
    assert lines[0] == "True"
    assert int(lines[-1]) < 200
