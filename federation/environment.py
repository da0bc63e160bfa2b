"""Say what besides code and data decides the bits of a computation: versions, machine, arithmetic.

The same seed gives the same model only on machines that add up in the same way. What
may differ is written down where something is computed, so that a replay that comes
out different can name a likely reason:

    then = this_environment().as_json()                    # kept with a run, or with a reply
    changes = changed(then, this_environment().as_json())  # the reasons, by name

`arithmetic` is the digest of a small fixed calculation in every kind of step that
training uses: two machines with the same one add up alike. Imports torch when asked.
"""

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from federation import provenance
from federation.domain.ids import Sha256
from federation.domain.replay import Change
from federation.evidence.canonical import digest_of

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = "trifed.environment/1"
ABSENT = "absent"

PACKAGES = ("torch", "numpy", "monai", "opacus", "safetensors", "scipy", "dp-accounting")
"""What computes: networks, training, sums, noise and its accounting."""

_SIDE, _CHANNELS = 16, 8
_STEP, _MODULUS = 40_503, 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputingEnvironment:
    """One process's means of computing, none of it a secret or a name.

    Parameters
    ----------
    python, machine, system
        Version of Python, processor architecture, kernel's name.
    processor
        The instruction set that torch uses, for example ``AVX512``.
    bfloat16
        Whether training without privacy keeps its steps in bfloat16 here.
    blas
        What multiplies matrices.
    threads
        How many torch was given; every sum that is kept runs on one.
    packages
        Version of each of `PACKAGES`.
    arithmetic
        Digest of a fixed calculation on one thread.
    code, installed
        Content ids of TriFed's code and of the list of all installed packages.
    """

    python: str
    machine: str
    system: str
    processor: str
    bfloat16: bool
    blas: str
    threads: int
    packages: tuple[tuple[str, str], ...]
    arithmetic: Sha256
    code: Sha256
    installed: Sha256

    def as_json(self) -> dict[str, object]:
        """Return the record as plain JSON."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        digests = {name: str(plain[name]) for name in ("arithmetic", "code", "installed")}
        return {"schema": SCHEMA, **plain, **digests, "packages": dict(self.packages)}

    @property
    def digest(self) -> Sha256:
        """Return the content id over all fields."""
        return digest_of(self.as_json())


def this_environment() -> ComputingEnvironment:
    """Return what this process computes with; takes some milliseconds once torch is there."""
    import torch

    return ComputingEnvironment(
        python=platform.python_version(),
        machine=platform.machine(),
        system=platform.system(),
        processor=torch.backends.cpu.get_cpu_capability(),
        bfloat16=bool(torch.cpu._is_avx512_bf16_supported()),
        blas=_blas(),
        threads=torch.get_num_threads(),
        packages=tuple((name, _version(name)) for name in PACKAGES),
        arithmetic=arithmetic(),
        code=provenance.code_digest(),
        installed=provenance.environment_digest(),
    )


def changed(then: Mapping[str, object], now: Mapping[str, object]) -> tuple[Change, ...]:
    """Return what differs between two records as JSON, by name; packages one by one.

    A name that only one of them knows counts as changed: another version wrote it.
    """
    before, after = dict(_leaves(then)), dict(_leaves(now))
    return tuple(
        Change(name, before.get(name, ABSENT), after.get(name, ABSENT))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )


def arithmetic() -> Sha256:
    """Return the digest of a fixed calculation: convolution, norm, product, gradient.

    Its numbers are made without a random generator and without rounding. In float32
    and in bfloat16, as training has it.
    """
    import torch

    content = b""
    with _one_thread(), torch.enable_grad():
        for fast in (False, True):
            for tensor in _calculated(fast=fast):
                content += tensor.detach().contiguous().numpy().astype("<f4").tobytes()
    return Sha256.of(content)


def _calculated(*, fast: bool) -> "list[Tensor]":
    """Return loss and gradients of one step of a small network on made-up images."""
    import torch
    from torch.nn import functional

    images = _numbers(4, _CHANNELS, _SIDE, _SIDE)
    filters = _numbers(_CHANNELS, _CHANNELS, 3, 3).requires_grad_()
    weights = _numbers(2, _CHANNELS * _SIDE * _SIDE).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=fast):
        features = functional.conv2d(images, filters, padding=1)
        features = functional.relu(functional.group_norm(features, 2))
        outputs = functional.linear(features.flatten(1), weights / 64)
    loss = functional.cross_entropy(outputs.float(), torch.tensor([0, 1, 0, 1]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert filters.grad is not None and weights.grad is not None
    return [loss, filters.grad, weights.grad]


def _numbers(*shape: int) -> "Tensor":
    """Return numbers in [-1, 1) that are the same on every machine."""
    import torch

    count = torch.arange(int(torch.tensor(shape).prod()), dtype=torch.int64)
    return ((count * _STEP % _MODULUS).to(torch.float32) / (_MODULUS // 2) - 1).reshape(shape)


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _blas() -> str:
    """Return the linear algebra of torch and of NumPy, each with its version where it has one."""
    import numpy
    import torch

    ours = [
        line.strip(" -") for line in torch.__config__.show().splitlines() if "MKL-DNN v" in line
    ]
    kind = "mkl" if torch.backends.mkl.is_available() else "no mkl"  # type: ignore[no-untyped-call]
    theirs = numpy.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    deep = ours[0].partition(" (")[0] if ours else "no oneDNN"
    return f"torch: {kind}, {deep}; numpy: {theirs.get('name')} {theirs.get('version')}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ABSENT


def _leaves(record: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        else:
            yield name, str(value)
