"""Inference with a bundle: texts in, labels and probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime as ort

from eibert.errors import BundleError, ShapeError
from eibert.runtime.bundle import GRAPH, Bundle, read_bundle
from eibert.runtime.tokenizer import PAD, Encoder

Text = str | tuple[str, str]
Logits = np.ndarray[Any, np.dtype[np.float32]]
Row = tuple[list[int], int]
"""Token ids of an input, and how many of them belong to the first text."""

_BATCH_ROWS = 64
_BATCH_TOKENS = 4096  # bounds the memory of batches of long texts
_RUNTIME = f"onnxruntime {ort.__version__}"
_AGAIN = "export the bundle again"


@dataclass(frozen=True)
class Prediction:
    """The prediction for one input.

    Attributes:
        label: Most probable class; None for regression.
        score: Its probability, 0 to 1; for regression the value.
        scores: The most probable classes with their probabilities, descending; empty for regression.
        value: The predicted number; None for classification.
    """

    label: str | None
    score: float
    scores: tuple[tuple[str, float], ...] = ()
    value: float | None = None


class Model:
    """A loaded bundle; its methods are thread-safe.

    Attributes:
        bundle: Configuration and vocabulary.
    """

    def __init__(self, bundle: Bundle, session: ort.InferenceSession) -> None:
        self.bundle = bundle
        self._session = session
        self._encode = Encoder(
            bundle.tokens,
            lowercase=bundle.lowercase, strip_accents=bundle.strip_accents, max_tokens=bundle.max_tokens,
        )  # fmt: skip
        self._pad = bundle.tokens.index(PAD)

    @classmethod
    def load(cls, path: str | Path, *, threads: int = 1) -> Self:
        """Loads the model in a bundle's folder.

        Args:
            path: Folder with `model.onnx`, `vocab.txt` and `eibert.json`.
            threads: Threads per forward pass.

        Raises:
            BundleError: a file is missing, altered or of an unknown format, or the graph does not match the bundle.
        """
        bundle, graph = read_bundle(Path(path))
        session = _session(graph, Path(path) / GRAPH, threads)
        _check_graph(session, bundle, Path(path) / GRAPH)
        return cls(bundle, session)

    def predict(self, texts: Sequence[Text], top_k: int = 1) -> list[Prediction]:
        """Returns one prediction per input, in order.

        Args:
            texts: Strings, or pairs of strings for a pair task. Any string is valid: characters that UTF-8 cannot
                encode are replaced, and overlong inputs are truncated.
            top_k: Number of classes in `scores`, or all if there are fewer.

        Raises:
            ShapeError: top_k is below 1, or an input does not fit the task.
            BundleError: the graph cannot be run.
        """
        if top_k < 1:
            raise ShapeError(f"top_k: found {top_k}, expected 1 or more")
        logits = self.logits(texts)
        if not self.bundle.labels:
            return [Prediction(None, value, (), value) for value in logits[:, 0].tolist()]
        probabilities = _softmax(logits)
        ranks = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
        return [self._prediction(row, rank) for row, rank in zip(probabilities, ranks, strict=True)]

    def logits(self, texts: Sequence[Text]) -> Logits:
        """Returns the logits, float32 (N, C) in input order; C = 1 for regression.

        Raises:
            ShapeError: an input does not fit the task.
            BundleError: the graph cannot be run.
        """
        return self.forward(self.encode(texts))

    def encode(self, texts: Sequence[Text]) -> list[Row]:
        """Returns the token ids of each input with special tokens, and how many of them belong to the first text.

        Raises:
            ShapeError: an input does not fit the task.
        """
        return [self._encode(text, text_b) for text, text_b in self._rows(texts)]

    def forward(self, rows: Sequence[Row]) -> Logits:
        """Returns the logits for the output of `encode`, float32 (N, C).

        Raises:
            BundleError: the graph cannot be run.
        """
        result = np.zeros((len(rows), len(self.bundle.labels) or 1), np.float32)
        for chosen in _batches([len(ids) for ids, _ in rows]):
            result[chosen] = self._forward([rows[index] for index in chosen])
        return result

    def _forward(self, rows: list[Row]) -> Logits:
        shape = (len(rows), max(len(ids) for ids, _ in rows))
        input_ids = np.full(shape, self._pad, np.int64)
        attention_mask, token_type_ids = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, (ids, first) in enumerate(rows):
            input_ids[row, : len(ids)] = ids
            attention_mask[row, : len(ids)] = 1
            token_type_ids[row, first : len(ids)] = 1
        feed = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        return self._checked(_run(self._session, feed), len(rows))

    def _checked(self, logits: Logits, rows: int) -> Logits:
        expected = rows, len(self.bundle.labels) or 1
        if logits.shape != expected or logits.dtype != np.float32 or not np.isfinite(logits).all():
            raise BundleError(f"{GRAPH}: found logits {logits.shape}, expected {expected} finite ones; {_AGAIN}")
        return logits

    def _rows(self, texts: Sequence[Text]) -> list[tuple[str, str | None]]:
        if isinstance(texts, str | bytes):
            raise ShapeError(f"texts: found one {type(texts).__name__}, expected a sequence of inputs; write [text]")
        return [self._row(index, text) for index, text in enumerate(texts)]

    def _row(self, index: int, text: object) -> tuple[str, str | None]:
        match text:
            case str() if not self.bundle.pair:
                return _encodable(text), None
            case [str(first), str(second)] if self.bundle.pair:
                return _encodable(first), _encodable(second)
        expected = "a pair of strings (text, text_b)" if self.bundle.pair else "one string"
        kinds = ", ".join(type(part).__name__ for part in text[:4]) if isinstance(text, tuple | list) else None
        found = type(text).__name__ if kinds is None else f"({kinds})"
        raise ShapeError(f"texts[{index}]: found {found}, expected {expected}: {self.bundle.name} is such a task")

    def _prediction(self, probabilities: Logits, rank: Any) -> Prediction:
        scores = tuple((self.bundle.labels[index], float(probabilities[index])) for index in rank)
        return Prediction(*scores[0], scores)


def _session(graph: bytes, path: Path, threads: int) -> ort.InferenceSession:
    if b"location" in graph:  # the key for external tensor data in ONNX; none of our names contains it
        raise BundleError(f"{path}: its weights are in another file, which is not read; {_AGAIN}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions have no common base class
        raise BundleError(f"{path}: {_RUNTIME} cannot load it ({_reason(error)}); upgrade it") from error


def _run(session: ort.InferenceSession, feed: dict[str, np.ndarray[Any, Any]]) -> Logits:
    try:
        return np.asarray(session.run(["logits"], feed)[0])
    except Exception as error:
        raise BundleError(f"{GRAPH}: {_RUNTIME} cannot run it ({_reason(error)}); {_AGAIN}") from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _check_graph(session: ort.InferenceSession, bundle: Bundle, path: Path) -> None:
    inputs = {node.name for node in session.get_inputs()}
    outputs = {node.name: node.shape for node in session.get_outputs()}
    if inputs != {"input_ids", "attention_mask", "token_type_ids"} or "logits" not in outputs:
        raise BundleError(f"{path}: inputs {sorted(inputs)}, outputs {sorted(outputs)} are no bundle's; export again")
    width, expected = (outputs["logits"] or [None])[-1], len(bundle.labels) or 1
    if isinstance(width, int) and width != expected:
        raise BundleError(f"{path}: {width} logits for {expected} outputs of eibert.json; export the bundle again")


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Returns all row indices in batches of similar length, short rows first."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not batches or len(batches[-1]) >= min(_BATCH_ROWS, _BATCH_TOKENS // lengths[index]):
            batches.append([])
        batches[-1].append(index)
    return batches


def _softmax(logits: Logits) -> Logits:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Logits = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


def _encodable(text: str) -> str:
    """Returns the text with surrogate pairs joined and lone surrogates replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
