"""A run that is killed and resumed ends with the weights of one that was left alone."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import ROOT
from tests.training.conftest import TrainerFactory
from tests.training.pictures import tiny_overrides
from training.errors import CheckpointError
from training.run import checkpoint
from training.run.loop import Trainer
from training.run.run_folder import RunFolder

STEPS = 60
EVERYTHING = {  # every option that draws numbers or keeps state
    "run__steps": STEPS, "run__snapshot_every": 4, "discriminator__spectral_norm": True, "loss__r1_gamma": 1,
    "loss__r1_every": 4, "loss__auxiliary": 0.5, "optimizer__discriminator_steps": 2, "data__flip": True,
    "augment__policy": '["color", "translation", "cutout"]',
}  # fmt: skip


def same(a: Any, b: Any) -> bool:
    """Bit-equal tensors, equal everything else, all the way down."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def final_state(folder: Path) -> dict[str, Any]:
    return checkpoint.load(checkpoint.path_of(folder / "checkpoints", STEPS)).algorithm


def start(folder: Path, data: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "training.cli", "train", "dcgan-modern", *tiny_overrides(data, **EVERYTHING)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*command, "--run", str(folder)], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)


def kill_after(process: subprocess.Popen[bytes], folder: Path, step: int) -> None:
    """SIGKILL at an arbitrary moment once that step has been saved."""
    deadline = time.monotonic() + 90
    while (RunFolder(folder).latest_step() or -1) < step:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(random.random() * 0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_killed_and_resumed_is_bit_equal(picture_folder: Path, tmp_path: Path, trainer: TrainerFactory) -> None:
    """SIGKILL a real process at an arbitrary moment; the weights, averages and optimisers end bit-equal."""
    killed = tmp_path / "killed"
    kill_after(start(killed, picture_folder), killed, 8)
    resumed = trainer(folder="killed", **EVERYTHING)
    assert 8 <= resumed.step < STEPS
    torch.manual_seed(random.randrange(1000))  # nothing may depend on what this process drew before
    resumed.run()
    torch.manual_seed(random.randrange(1000))
    trainer(folder="whole", **EVERYTHING).run()
    assert same(final_state(killed), final_state(tmp_path / "whole"))


def test_stats_are_written_once_a_step_after_a_resume(trainer: TrainerFactory) -> None:
    """Lines of work that was done again are not there twice."""
    first = trainer(run__steps=8, run__snapshot_every=4)
    first.run()
    for step in checkpoint.steps_in(first.folder.checkpoints)[1:]:
        checkpoint.path_of(first.folder.checkpoints, step).unlink()
    with first.folder.stats_file.open("a") as stream:
        stream.write('{"step": 7, "ima')  # cut short by a kill
    again = trainer(run__steps=8, run__snapshot_every=4)
    assert again.step == 4
    again.run()
    steps = [line.split(",")[0] for line in first.folder.stats_file.read_text().splitlines() if "images" in line]
    assert steps == ['{"step": 2', '{"step": 4', '{"step": 6', '{"step": 8']


def test_a_stop_signal_ends_with_a_checkpoint(trainer: TrainerFactory) -> None:
    """Ctrl-C loses nothing."""
    run = trainer(run__steps=1000)
    run.stop()
    outcome = run.run()
    assert not outcome.complete
    resumed: Trainer = trainer(run__steps=1000)
    assert resumed.step == outcome.step


def test_checkpoints_run_no_code_and_say_when_they_are_damaged(tmp_path: Path) -> None:
    """A truncated file, a foreign file and a pickle with code are all refused with a sentence."""
    good = checkpoint.save(tmp_path, checkpoint.Checkpoint(3, 1.0, {"w": torch.ones(2)}), keep=2)
    assert checkpoint.load(good).step == 3
    bad = tmp_path / "step-00000004.pt"
    bad.write_bytes(good.read_bytes()[:100])
    with pytest.raises(CheckpointError):
        checkpoint.load(bad)
    torch.save({"format": 1, "run": os.system}, bad)
    with pytest.raises(CheckpointError):
        checkpoint.load(bad)


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    """Old ones go, half-written ones too."""
    (tmp_path / "step-00000001.123.partial").write_bytes(b"half")
    for step in range(5):
        checkpoint.save(tmp_path, checkpoint.Checkpoint(step, 0.0, {}), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000003.pt", "step-00000004.pt"]
