"""A teacher that does not learn reads rows: the one loop of its passes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eibert import optimize
from eibert.batches import Encoded, by_length
from eibert.params.section import Precision
from eibert.progress import Report
from eibert.teacher import Teacher


@torch.no_grad()
def passes(
    teacher: Teacher, rows: Encoded, *, batch_size: int, precision: Precision, report: Report
) -> Iterator[tuple[np.ndarray[Any, Any], Tensor, Tensor]]:
    """Yields rows (B,) with their token representations (B, T, H) and sentence representations (B, H), as they come.

    Args:
        teacher: On the device where it is to read; dropout is turned off.
        rows: As the teacher's tokenizer cuts them.
        batch_size: Rows per forward pass.
        precision: Arithmetic of the passes.
        report: Told once what was yielded has been dealt with.
    """
    teacher.eval()
    device = next(teacher.parameters()).device
    batches = by_length(rows.lengths, batch_size)
    for position, chosen in enumerate(batches):
        with optimize.autocast(precision, device):
            tokens, pooled = teacher(rows.batch(chosen, device))
        yield chosen, tokens, pooled
        report(position + 1, len(batches))
