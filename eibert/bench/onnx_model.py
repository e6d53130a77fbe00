"""Any BERT in onnxruntime with its tokenizer, as lean as `eibert.runtime`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime as ort
from tokenizers import Encoding, Tokenizer

GRAPH, TOKENIZER = "model.onnx", "tokenizer.json"


class OnnxModel:
    """A graph with inputs `input_ids attention_mask token_type_ids`, and a tokenizer that truncates long texts."""

    def __init__(self, tokenizer: Tokenizer, session: ort.InferenceSession) -> None:
        self._tokenizer = tokenizer
        self._session = session

    @classmethod
    def load(cls, folder: Path, *, threads: int = 1) -> Self:
        """Loads the model in a folder with GRAPH and TOKENIZER."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = ort.InferenceSession(folder / GRAPH, options, providers=["CPUExecutionProvider"])
        return cls(Tokenizer.from_file(str(folder / TOKENIZER)), session)

    def encode(self, texts: Sequence[Any]) -> list[Encoding]:
        """Returns the tokens of each text or pair."""
        return [self._tokenizer.encode(*([text] if isinstance(text, str) else text)) for text in texts]

    def forward(self, rows: Sequence[Encoding]) -> np.ndarray[Any, Any]:
        """Returns logits, float32 (N, C)."""
        shape = (len(rows), max(len(row) for row in rows))
        feed = {name: np.zeros(shape, np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")}
        for at, row in enumerate(rows):
            feed["input_ids"][at, : len(row)] = row.ids
            feed["attention_mask"][at, : len(row)] = 1
            feed["token_type_ids"][at, : len(row)] = row.type_ids
        logits: np.ndarray[Any, Any] = self._session.run(["logits"], feed)[0]
        return logits
