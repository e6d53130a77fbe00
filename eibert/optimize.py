"""What all training loops share: determinism, threads, precision, optimiser and learning-rate schedule."""

import contextlib
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager

import torch
from torch import nn

from eibert.errors import RunError
from eibert.params.section import Compilation, Precision

GRADIENT_NORM = 1.0
"""Gradients with a larger norm are clipped to this one."""
COMPILED_STEPS = 2000
"""Fewer steps do not amortise the compile time."""


def prepare(threads: int) -> torch.device:
    """Makes torch deterministic on a fixed number of threads; returns the device to train on.

    On CUDA, kernels without a deterministic version are used with a warning.
    """
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, CUDA matmuls are not
    torch.set_deterministic_debug_mode("warn")  # use_deterministic_algorithms also imports the compiler: 2 s
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010 — no attribute to mypy
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Returns the context of a forward pass: bf16 if requested or, for `auto`, fast; else plain fp32."""
    return torch.autocast(device.type, torch.bfloat16) if is_bf16(precision, device) else contextlib.nullcontext()


def is_bf16(precision: Precision, device: torch.device) -> bool:
    """Returns whether forward passes use bf16."""
    capable = device.type == "cuda" or any(
        torch.cpu.get_capabilities().get(name, False) for name in ("avx512_bf16", "amx_bf16")
    )
    return precision is Precision.BF16 or (precision is Precision.AUTO and capable)


def compile_student(student: nn.Module, compilation: Compilation, device: torch.device, steps: int) -> None:
    """Sets a student up, in place, to be compiled at its first call, if requested or, for `auto`, worthwhile.

    Choice: on CPU compiled steps were slower than eager ones, and compiling takes a minute; so `auto` compiles only on
    CUDA, from `COMPILED_STEPS` steps on. Batch widths vary, hence dynamic shapes.
    """
    pays = device.type == "cuda" and steps >= COMPILED_STEPS
    if compilation is Compilation.ALWAYS or (compilation is Compilation.AUTO and pays):
        torch.use_deterministic_algorithms(True, warn_only=True)  # tells the compiler
        student.compile(dynamic=True)


def adamw(groups: Iterable[tuple[Iterable[nn.Parameter], float]], *, weight_decay: float) -> torch.optim.AdamW:
    """Returns AdamW over parameter groups, each with its own peak rate; biases and norms (1-D) are not decayed."""
    options = []
    for parameters, rate in groups:
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        for decay, chosen in (
            (weight_decay, [x for x in trained if x.ndim > 1]),
            (0.0, [x for x in trained if x.ndim <= 1]),
        ):
            options.append({"params": chosen, "lr": rate, "peak": rate, "weight_decay": decay})
    return torch.optim.AdamW(options, fused=True)


def rate_factor(step: int, total: int, warmup_share: float, *, decay: bool = True) -> float:
    """Returns the factor on the peak rate at a step (0-based): linear warm-up, then linear decay to zero at `total`.

    Without `decay`, the factor stays 1 after the warm-up.
    """
    warmup = max(1, round(total * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (total - step) / max(1, total - warmup)) if decay else 1.0


def step(optimizer: torch.optim.Optimizer, factor: float, remedy: str) -> None:
    """Takes one step at `factor` of the peak rates with clipped gradients, and clears the gradients.

    Raises:
        RunError: a gradient is not finite; the message ends with `remedy`, which names the keys to change.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM)
    if not torch.isfinite(norm):
        raise RunError(f"training diverged: the gradient norm is {float(norm)}, not finite; {remedy}")
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
