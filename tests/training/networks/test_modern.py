"""The stronger generator: its switches, a fold that changes nothing, gates that begin open."""

from typing import Any

import pytest
import torch

from training.networks.layers import fold_batch_norms
from training.networks.modern import Gate, Mapping, ModernGenerator
from training.recipes.tables import GeneratorTable

SWITCHES: tuple[dict[str, Any], ...] = (
    {}, {"mapping": 2}, {"gates": True}, {"residual": True, "refine": True}, {"upsample": "resize"}
)  # fmt: skip


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("size", [32, 64])
def test_every_switch_paints_and_folds(switches: dict[str, object], size: int) -> None:
    """Pictures in range; with norms folded, the same pictures within 1e-4."""
    torch.manual_seed(0)
    network = ModernGenerator(GeneratorTable.model_validate({"width": 4, **switches}), size, 3, 8, labels=2)
    noise, label = torch.randn(4, 8), torch.eye(2)[[0, 1, 0, 1]]
    for _ in range(3):
        network(noise, label)  # statistics that are not 0 and 1
    network.eval()
    with torch.no_grad():
        wanted = network(noise, label)
        given = fold_batch_norms(network)(noise, label)
    assert wanted.shape == (4, 3, size, size)
    assert float(wanted.abs().max()) <= 1
    assert float((given - wanted).abs().max()) < 1e-4
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())


def test_gates_join_maps_eight_times_as_fine() -> None:
    """FastGAN's pairs as far as there are maps: 4 -> 32 in a 64-pixel net, none in a 32-pixel one."""
    table = GeneratorTable(width=4, gates=True)
    assert list(ModernGenerator(table, 64, 3, 8).gates) == ["3"]
    assert list(ModernGenerator(table, 32, 3, 8).gates) == []
    gate = Gate(6, 4)
    torch.nn.init.zeros_(gate.decide.weight)
    torch.nn.init.zeros_(gate.decide.get_parameter("bias"))
    fine = torch.randn(2, 4, 16, 16)
    assert torch.equal(gate(fine, torch.randn(2, 6, 8, 8)), fine)


def test_pictures_of_other_shapes_have_gates_too() -> None:
    """96x192 begins with a map of 6x12: the gate looks at all of it, whatever its shape."""
    network = ModernGenerator(GeneratorTable(width=4, gates=True), (96, 192), 3, 8)
    assert network.gates
    assert network(torch.randn(2, 8)).shape == (2, 3, 96, 192)


def test_a_mapping_does_not_see_the_length_of_the_latent() -> None:
    """Normed first: twice the latent is the same picture; another direction is another one."""
    mapping = Mapping(16, 2)
    mapping.begin(torch.Generator().manual_seed(0))
    latent = torch.randn(3, 16)
    torch.testing.assert_close(mapping(latent), mapping(2 * latent))
    assert 0.3 < float(mapping(torch.randn(200, 16)).detach().std()) < 2
