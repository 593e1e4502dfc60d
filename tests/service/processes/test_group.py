"""A process of a group lives as long as its supervisor, whatever number that has."""

import subprocess
import sys

import pytest

CHILD = """
import os, sys
from service.processes import group
if sys.argv[1] == "container":
    os.getppid = lambda: 1
group._tie_to({"parent": os.getppid(), "container": 1, "dead": 999_999_999}[sys.argv[1]])
print("serves")
"""


@pytest.mark.parametrize(("supervisor", "says"), [("parent", "serves"), ("container", "serves"), ("dead", "")])
def test_a_process_ends_when_its_supervisor_is_gone(supervisor: str, says: str) -> None:
    """And not because the supervisor is process 1, as in a container without an init: all of them ended at once there."""
    ended = subprocess.run([sys.executable, "-c", CHILD, supervisor], capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == says
    assert ("the supervisor is gone" in ended.stderr) is (supervisor == "dead")
