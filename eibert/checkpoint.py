"""State of a training loop after its last finished interval, in one safetensors file, written atomically."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from eibert import atomic


class Checkpoint:
    """Saves and restores named modules and optimisers, for runs with equal inputs only.

    Args:
        path: The file; its folder is created on first save. None: nothing is ever saved or restored.
        key: Digest of everything the run depends on; state saved under another key is ignored.
    """

    def __init__(self, path: Path | None, key: str = "") -> None:
        self.path = path
        self.key = key

    def save(
        self,
        done: int,
        modules: Mapping[str, nn.Module],
        optimizers: Sequence[torch.optim.Optimizer],
        memory: dict[str, Any],
    ) -> None:
        """Saves the state after `done` intervals; `memory` holds JSON values such as the history so far."""
        if self.path is None:
            return
        tensors = {f"{name}/{key}": value for name, module in modules.items() for key, value in _owned(module).items()}
        for number, optimizer in enumerate(optimizers):
            for index, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer {number}/{index}/{key}": value for key, value in state.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"key": self.key, "intervals": str(done), "memory": json.dumps(memory)}
        with atomic.file(self.path) as part:
            save_file({name: value.contiguous() for name, value in tensors.items()}, part, metadata)

    def restore(
        self, modules: Mapping[str, nn.Module], optimizers: Sequence[torch.optim.Optimizer]
    ) -> tuple[int, dict[str, Any]]:
        """Loads saved state into modules and optimisers; returns intervals done and the memory, or (0, {}) if none."""
        if self.path is None or not self.path.is_file():
            return 0, {}
        try:
            with safe_open(self.path, "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("key") != self.key:
                    return 0, {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 — not a mapping
        except (SafetensorError, OSError):
            return 0, {}
        for name, module in modules.items():
            module.load_state_dict(_under(name, tensors), strict=False)
        for number, optimizer in enumerate(optimizers):
            states: dict[int, dict[str, Tensor]] = {}
            for key, value in _under(f"optimizer {number}", tensors).items():
                index, _, name = key.partition("/")
                states.setdefault(int(index), {})[name] = value
            if states:
                optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
        return int(metadata["intervals"]), json.loads(metadata["memory"])

    def clear(self) -> None:
        """Removes the saved state once the run is complete."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _under(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors of one module or optimiser by their own names."""
    return {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}


def _owned(module: nn.Module) -> dict[str, Tensor]:
    """Returns the module's tensors as copies, so that tied or sliced storage can be written."""
    return {key: value.detach().clone() for key, value in module.state_dict().items()}
