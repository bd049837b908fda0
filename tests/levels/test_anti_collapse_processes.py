"""Two processes with half of the layouts each learn exactly what one with all of them does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from levels.settings import ANTI_COLLAPSE

# Every way not to collapse behind a small encoder, and a whole level; gradients after data parallel's mean over them.
WORKER = """
import sys
import torch
import torch.distributed as dist
from torch import nn
from levels.anti_collapse.kinds import KINDS, make_anti_collapse
from levels.level import Level
from levels.settings import LevelSettings, World

rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.set_num_threads(1)
if world > 1:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet{world}", rank=rank, world_size=world)

def half(whole):
    return whole.chunk(world)[rank].clone()

class Behind(nn.Module):
    def __init__(self, name):
        super().__init__()
        torch.manual_seed(1)
        self.encoder = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 4))
        self.part = make_anti_collapse(name, self.encoder, {})

    def forward(self, seen):
        latent = self.encoder(seen)
        error = (self.part.aim(latent, lambda encoder: encoder(seen)) - latent.flip(1)).square().mean()
        # What this process has used of its randomness is its own: directions have to agree all the same.
        torch.manual_seed(5 + rank)
        return error + sum(self.part(latent[:, :, list(self.part.moments)]).values(), torch.zeros(()))

class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.level = Level(LevelSettings(latent_dim=4, hidden=8, head=8, macro_action="chunk", stride=2, macro_dim=2,
                                         memory=None, expander=6), 5, 3, World((4, 4), 3))

    def forward(self, seen, actions):
        return self.level.losses(seen, actions, None, 0.5)[0]

generator = torch.Generator().manual_seed(0)
seen = torch.randn(4, 6, 3, 5, generator=generator)
actions = torch.eye(3)[torch.randint(0, 3, (4, 6, 2, 2), generator=generator)]
found = {}
for name in [*KINDS.ours, "level"]:
    module = Whole() if name == "level" else Behind(name)
    parallel = nn.parallel.DistributedDataParallel(module, find_unused_parameters=True) if world > 1 else module
    loss = parallel(half(seen), half(actions)) if name == "level" else parallel(half(seen))
    loss.backward()
    gradients = [p.grad.flatten() for p in module.parameters() if p.grad is not None]
    found[name] = torch.cat(gradients)
if rank == 0:
    torch.save(found, f"{folder}/of{world}.pt")
if world > 1:
    dist.destroy_process_group()
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without torch.distributed")
def test_two_processes_learn_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
    for world in (1, 2):
        started = [
            subprocess.Popen([sys.executable, str(script), str(rank), str(world), str(tmp_path)])
            for rank in range(world)
        ]
        assert [process.wait(120) for process in started] == [0] * world
    one, two = (torch.load(tmp_path / f"of{world}.pt", weights_only=True) for world in (1, 2))
    assert set(one) == set(two) == {*ANTI_COLLAPSE, "level"}
    for name in one:
        assert one[name].abs().max() > 1e-4, name
        assert torch.allclose(one[name], two[name], rtol=1e-4, atol=1e-6), name
