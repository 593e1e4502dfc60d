"""Two processes under torchrun train one model."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from tests.conftest import ROOT
from tests.training.pictures import tiny_overrides

SCRIPT = """
import sys
import torch
from training.compute import parallel
from training.run import run_folder
from training.data.dataset import load_dataset
from training.run.loop import Trainer
from training.recipes.resolve import resolve

torch.set_num_threads(1)
out, *overrides = sys.argv[1:]
group = parallel.from_environment()
recipe = resolve("dcgan-modern", overrides)
dataset, _ = load_dataset(recipe.data)
folder = run_folder.RunFolder(__import__("pathlib").Path(out))
if group.is_main:
    folder = run_folder.at(folder.path, recipe)
trainer = Trainer(recipe, dataset, folder, group)
trainer.run()
torch.manual_seed(0)
layer, inputs = torch.nn.Linear(5, 3), torch.randn(16, 5)
layer(inputs.chunk(2)[group.rank]).square().mean().backward()
group.average_gradients(layer.parameters())
whole = torch.nn.Linear(5, 3)
whole.load_state_dict(layer.state_dict())
whole(inputs).square().mean().backward()
assert torch.allclose(layer.weight.grad, whole.weight.grad, atol=1e-7), "not the gradient of the whole batch"
weights = {name: part for name, part in trainer.algorithm.state_dict()["generator"].items() if "running" not in name}
torch.save(weights, f"{out}/rank{group.rank}.pt")
group.close()
threads = [task.read_text().strip() for task in __import__("pathlib").Path("/proc/self/task").glob("*/comm")]
assert not any("gloo" in name for name in threads), f"threads that may outlive Python: {threads}"
"""


def run_script(script: Path, out: Path, overrides: list[str], processes: int) -> list[dict[str, torch.Tensor]]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    out.mkdir()
    subprocess.run([*launcher, str(script), str(out), *overrides], cwd=ROOT, env=environment, check=True, timeout=200)
    return [torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in range(processes)]


def test_two_processes_hold_the_same_weights_and_train_as_one(picture_folder: Path, tmp_path: Path) -> None:
    """After training, both ranks hold the same weights; an averaged gradient is that of the whole batch.

    No thread of the group is left: one that let go of a tensor after Python had ended the process with SIGABRT, in one run of ten
    under load.
    """
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    overrides = tiny_overrides(picture_folder, run__batch=16, run__steps=3)
    one, two = run_script(script, tmp_path / "two", overrides, processes=2)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
