"""Measure what a private step costs beside a plain one: CPU time and memory.

    OMP_NUM_THREADS=1 python benchmarks/dp_step.py [--json] [--repeats N]

MONAI's DenseNet121 with GroupNorm, 1 x 128 x 128, batch 32, one thread: one
step without an optimiser, plain (forward and backward of the whole batch),
private (the product's `clipped_sum`) and with Opacus' hooks (gradients of the
whole batch, cut and summed). The methods take turns, so that a busy neighbour
slows all of them; figures are medians of process CPU time. Peak memory is that
of a process of its own, which only loads the network and takes private steps.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from report import report
from torch import Tensor, nn

from clients.objective import losses
from clients.per_sample.method import gradients_of
from clients.private_training import clipped_sum
from federation.recipes.networks import without_inplace

IMAGE, BATCH, CLIP_NORM = (1, 128, 128), 32, 1.0
MEMORY_STEPS = 2

Step = Callable[[], object]


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    if options.memory_only:
        print(json.dumps(_peak_here()))
        return
    network, images, targets = _network(), *_batch()
    started = time.process_time()
    private = _private(network, images, targets)
    choice_s = time.process_time() - started
    seconds = _medians(
        {
            "plain": _plain(network, images, targets),
            "private": private,
            "opacus_hooks": _opacus(_network(), images, targets),
        },
        repeats=options.repeats,
    )
    figures = {f"{name}_cpu_s": value for name, value in seconds.items()}
    figures |= {
        "private_to_plain": seconds["private"] / seconds["plain"],
        "private_peak_mb": _peak_elsewhere(),
        "choice_of_method_cpu_s": choice_s,
    }
    units = {name: "MB" if name.endswith("_mb") else "s" for name in figures}
    report("dp_step", figures, units | {"private_to_plain": "1"})


def _network() -> nn.Module:
    from monai.networks.nets import DenseNet121

    torch.manual_seed(0)
    return without_inplace(
        DenseNet121(
            spatial_dims=2, in_channels=1, out_channels=2, norm=("group", {"num_groups": 8})
        )
    )


def _batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(BATCH, *IMAGE, generator=generator)
    return images, torch.randint(0, 2, (BATCH,), generator=generator)


def _plain(network: nn.Module, images: Tensor, targets: Tensor) -> Step:
    def step() -> None:
        network.zero_grad(set_to_none=True)
        losses(network(images), targets).mean().backward()

    return step


def _private(network: nn.Module, images: Tensor, targets: Tensor) -> Step:
    method = gradients_of(network, image=images.shape[1:], target=targets.shape[1:])
    return lambda: clipped_sum(network, images, targets, clip_norm=CLIP_NORM, method=method)


def _opacus(network: nn.Module, images: Tensor, targets: Tensor) -> Step:
    from opacus import GradSampleModule

    warnings.filterwarnings("ignore", message="Full backward hook")
    hooked = GradSampleModule(network, loss_reduction="sum")

    def step() -> Tensor:
        hooked.zero_grad(set_to_none=True)
        losses(hooked(images), targets).sum().backward()
        rows = [p.grad_sample.flatten(1) for p in hooked.parameters()]
        norms = torch.stack([row.norm(dim=1) for row in rows]).norm(dim=0)
        factors = (CLIP_NORM / norms).clamp(max=1)
        total = torch.cat([factors @ row for row in rows])
        for parameter in hooked.parameters():
            parameter.grad_sample = None
        return total

    return step


def _medians(steps: dict[str, Step], *, repeats: int) -> dict[str, float]:
    """Return the median CPU seconds of each step; the first turn only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 1):
        for name, step in steps.items():
            started = time.process_time()
            step()
            if turn:
                seconds[name].append(time.process_time() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _peak_elsewhere() -> float:
    command = [sys.executable, str(Path(__file__)), "--memory-only"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _peak_here() -> float:
    """Return the peak resident memory in MB (10^6 bytes) of this process after private steps."""
    step = _private(_network(), *_batch())
    for _ in range(MEMORY_STEPS):
        step()
    # not getrusage: its peak goes on through exec, so it would be that of who started us
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024 / 1e6


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory-only", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
