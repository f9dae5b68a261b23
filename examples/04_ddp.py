"""Tune a training of several processes: torch's DistributedDataParallel on two ranks, over gloo.

Needs torch (pip install "modelwright[torch]"). The same file is the search and, where a study has started
it, one rank of a trial. Rank 0 speaks with the study and tells the others what it has heard.

    python examples/04_ddp.py
"""

from __future__ import annotations

import os
import sys

import modelwright
from modelwright import Float, Script, Space, Study

EPOCHS, RANKS = 6, 2


def main() -> None:
    """Search for the best rate of learning."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={RANKS}"]
    study = Study(
        Space(lr=Float(1e-3, 1.0, log=True)),
        direction="minimize",
        scheduler="median",
        name="ddp",
        storage="sqlite:///ddp.db",
        seed=1,
        load_if_exists=True,
    )
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    study.run(Script([sys.executable, *launcher, __file__]), trials=trials)
    print(f"best: lr {study.best_params['lr']:.4f}, loss {study.best_value:.4f}")


def train() -> None:
    """Be one rank of a trial."""
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    dist.init_process_group("gloo")
    rank = dist.get_rank()
    trial = modelwright.current_trial()  # every rank may read it; rank 0 alone talks
    torch.manual_seed(trial.seed)
    model = DistributedDataParallel(torch.nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=trial.params["lr"])
    first = load(trial, model)

    inputs = torch.randn(64, 3, generator=torch.Generator().manual_seed(rank))
    targets = inputs @ torch.tensor([[1.0], [-2.0], [0.5]])
    for epoch in range(first, EPOCHS):
        for _ in range(5):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            optimizer.step()
        mean = loss.detach().clone()
        dist.all_reduce(mean)
        mean /= dist.get_world_size()
        stop = torch.zeros(1)
        if rank == 0:
            save(trial, model, epoch)
            trial.report(mean.item(), epoch)
            stop.fill_(trial.should_stop())
        dist.broadcast(stop, src=0)  # all ranks leave together, or none
        if stop:
            break
    else:
        if rank == 0:
            trial.finish(mean.item())
    dist.destroy_process_group()


def save(trial, model, epoch: int) -> None:
    """Keep the state after an epoch; under another name first, so that what is there is whole."""
    import torch

    part = trial.checkpoint_dir / "part"
    torch.save({"epoch": epoch, "model": model.module.state_dict()}, part)
    part.replace(trial.checkpoint_dir / "state.pt")


def load(trial, model) -> int:
    """Go on from a checkpoint if there is one; return the first epoch to do."""
    import torch

    if trial.resume_from is None:
        return 0
    state = torch.load(trial.resume_from / "state.pt", weights_only=True)
    model.module.load_state_dict(state["model"])
    return state["epoch"] + 1


if __name__ == "__main__":
    train() if "MODELWRIGHT_TRIAL" in os.environ else main()
