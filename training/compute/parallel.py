"""Several processes, one model: averages gradients over the processes torchrun started; does nothing for one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.distributed.nn  # before a group exists: its default arguments would keep the group, and its threads, for ever
from torch import Tensor, nn


class Parallel:
    """This process's place among its peers."""

    def __init__(self, rank: int = 0, world_size: int = 1) -> None:
        self.rank, self.world_size = rank, world_size

    @property
    def is_main(self) -> bool:
        """True in the one process that writes files."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces each gradient by its mean over the processes, in one message."""
        if self.world_size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        self._average(gradients)

    def average_buffers(self, module: nn.Module) -> None:
        """Replaces floating-point buffers (BatchNorm statistics) by their mean over the processes."""
        if self.world_size > 1:
            self._average([buffer for buffer in module.buffers() if buffer.is_floating_point()])

    def broadcast(self, module: nn.Module) -> None:
        """Gives every process the weights and buffers of process 0."""
        if self.world_size > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, src=0)

    def agree(self, flag: bool) -> bool:
        """What process 0 says, everywhere: decisions by the clock must be taken together."""
        if self.world_size == 1:
            return flag
        word = torch.tensor(int(flag))
        dist.broadcast(word, src=0)
        return bool(word.item())

    def share(self, text: str) -> str:
        """Process 0's text, everywhere."""
        if self.world_size == 1:
            return text
        box: list[str] = [text]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def close(self) -> None:
        """Leaves the group."""
        if self.world_size > 1:
            dist.destroy_process_group()

    def _average(self, tensors: list[Tensor]) -> None:
        if not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.world_size
        for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))


def from_environment() -> Parallel:
    """Joins the group torchrun described in the environment, or stands alone."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        return Parallel()
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=timedelta(minutes=10))
    return Parallel(dist.get_rank(), world_size)
