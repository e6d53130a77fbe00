"""The student: a small BERT with factorised token embeddings, defined entirely in this file.

Choice: post-norm layers as in BERT, a fused query-key-value matrix, no pooler, and the teacher's pooling
(decision 0003).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 — torch's own custom

from eibert.artifact import read_json, write_json
from eibert.batches import Batch
from eibert.errors import CorruptArtifactError, ShapeError
from eibert.losses import pool
from eibert.params.section import Pooling
from eibert.runtime.tokenizer import wordpiece

WEIGHTS, SHAPE, VOCABULARY = "student.safetensors", "student.json", "vocab.txt"
MASKED = -10000.0
"""Added to the attention scores of padding."""


@dataclass(frozen=True)
class StudentShape:
    """Everything about a student except its weights and vocabulary.

    Attributes:
        layers: Transformer layers.
        hidden: Width H.
        heads: Attention heads; divides hidden.
        feed_forward: Intermediate width of the feed-forward modules.
        embedding: Width E of the token embeddings.
        positions: Maximum input length in tokens.
        dropout: Dropout rate in training.
        teacher_hidden: Width of the teacher's representations, the output width of `projection`.
        outputs: Number of logits C; 0 before the task is known.
        lowercase: Whether the tokenizer lowercases.
        strip_accents: Whether the tokenizer strips accents; None: same as lowercase.
        pooling: How tokens are pooled into one representation, as in the teacher.
    """

    layers: int
    hidden: int
    heads: int
    feed_forward: int
    embedding: int
    positions: int
    dropout: float
    teacher_hidden: int
    outputs: int
    lowercase: bool
    strip_accents: bool | None
    pooling: Pooling = Pooling.MEAN


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, dropout: float) -> Tensor:
    """Returns scaled dot-product attention per head, (B, heads, T, d).

    Choice: fp32 on CPU even under bf16 autocast, because the bf16 backward pass of attention takes ten times as long.
    """
    if query.dtype == torch.float32 or query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype), dropout_p=dropout)
    with torch.autocast(query.device.type, enabled=False):
        parts = (query.float(), key.float(), value.float())
        return F.scaled_dot_product_attention(*parts, attn_mask=bias.float(), dropout_p=dropout).to(query.dtype)


class Layer(nn.Module):
    """One post-norm transformer layer: float (B, T, H) → (B, T, H)."""

    def __init__(self, shape: StudentShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.dropout = shape.dropout
        self.qkv = nn.Linear(shape.hidden, 3 * shape.hidden)
        self.attention_output = nn.Linear(shape.hidden, shape.hidden)
        self.attention_norm = nn.LayerNorm(shape.hidden, eps=1e-12)
        self.feed_forward_input = nn.Linear(shape.hidden, shape.feed_forward)
        self.feed_forward_output = nn.Linear(shape.feed_forward, shape.hidden)
        self.feed_forward_norm = nn.LayerNorm(shape.hidden, eps=1e-12)

    def context(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Returns multi-head attention, (B, T, H), before the output projection; bias (B, 1, 1, T) masks the scores."""
        batch, width, size = hidden.shape
        qkv = self.qkv(hidden).view(batch, width, 3, self.heads, size // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (B, T, 3, heads, d) → 3 × (B, heads, T, d)
        mixed = _attend(query, key, value, bias, self.dropout if self.training else 0.0)
        return mixed.transpose(1, 2).reshape(batch, width, size)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Returns the layer's output, (B, T, H)."""
        mixed = self.attention_output(self.context(hidden, bias))
        hidden = self.attention_norm(hidden + F.dropout(mixed, self.dropout, self.training))
        inner = self.feed_forward_output(F.gelu(self.feed_forward_input(hidden)))
        output: Tensor = self.feed_forward_norm(hidden + F.dropout(inner, self.dropout, self.training))
        return output


class Student(nn.Module):
    """The student with its tokenizer.

    Args:
        shape: The shape.
        tokens: Vocabulary in id order, V of them.
    """

    def __init__(self, shape: StudentShape, tokens: Sequence[str]) -> None:
        super().__init__()
        self.shape = shape
        self.tokens = tuple(tokens)
        self.max_tokens = shape.positions
        self.tokenizer = wordpiece(
            self.tokens, lowercase=shape.lowercase, strip_accents=shape.strip_accents, max_tokens=shape.positions
        )
        self.table = nn.Embedding(len(self.tokens), shape.embedding)
        self.embedding_projection = nn.Linear(shape.embedding, shape.hidden, bias=False)
        self.positions = nn.Embedding(shape.positions, shape.hidden)
        self.segments = nn.Embedding(2, shape.hidden)
        self.embedding_norm = nn.LayerNorm(shape.hidden, eps=1e-12)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.projection: nn.Linear | None = nn.Linear(shape.hidden, shape.teacher_hidden)
        self.head: nn.Linear | None = nn.Linear(shape.teacher_hidden, shape.outputs) if shape.outputs else None

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns token representations float (B, T, H) and pooled representations (B, H).

        Raises:
            ShapeError: the rows have more tokens than the student has positions.
        """
        width = batch.ids.shape[1]
        if width > self.shape.positions:
            raise ShapeError(f"{width}-token rows exceed the student's {self.shape.positions} positions; shorten them")
        hidden = self.embedding_projection(self.table(batch.ids))
        hidden = hidden + self.positions.weight[:width] + self.segments(batch.segments)
        hidden = F.dropout(self.embedding_norm(hidden), self.shape.dropout, self.training)
        bias = (1.0 - batch.mask.to(hidden.dtype))[:, None, None, :] * MASKED  # (B, T) → (B, 1, 1, T)
        for layer in self.layers:
            hidden = layer(hidden, bias)
        return hidden, pool(hidden, batch.mask, self.shape.pooling)

    def project(self, hidden: Tensor) -> Tensor:
        """Projects representations into the teacher's space: float (..., H) → (..., H_teacher)."""
        assert self.projection is not None
        projected: Tensor = self.projection(hidden)
        return projected

    def answer(self, pooled: Tensor) -> Tensor:
        """Returns the logits of pooled representations: float (B, H) → (B, C)."""
        assert self.head is not None
        answered: Tensor = self.head(pooled if self.projection is None else self.projection(pooled))
        return answered

    def logits(self, batch: Batch) -> Tensor:
        """Returns logits, float (B, C)."""
        return self.answer(self(batch)[1])

    def fold(self) -> None:
        """Folds the projection into the head, exact up to rounding: W(Px + p) + b = (WP)x + (Wp + b)."""
        assert self.projection is not None
        assert self.head is not None
        folded = nn.Linear(self.shape.hidden, self.head.out_features)
        with torch.no_grad():
            weight = self.head.weight.double()
            folded.weight.copy_(weight @ self.projection.weight.double())
            folded.bias.copy_(weight @ self.projection.bias.double() + self.head.bias.double())
        self.projection, self.head = None, folded.to(self.table.weight.device)


def save_student(student: Student, folder: Path, *, weights: str = WEIGHTS) -> None:
    """Writes weights, shape and vocabulary into a folder; `weights` names the weights file."""
    state = {name: value.detach().cpu().contiguous() for name, value in student.state_dict().items()}
    save_file(state, folder / weights)
    write_json(folder / SHAPE, dataclasses.asdict(student.shape))
    (folder / VOCABULARY).write_text("".join(f"{token}\n" for token in student.tokens), encoding="utf-8")


def read_shape(folder: Path) -> StudentShape:
    """Returns the shape that `save_student` wrote.

    Raises:
        CorruptArtifactError: the file's keys or values do not describe a shape.
    """
    try:
        found = read_json(folder / SHAPE)
        return StudentShape(**found | {"pooling": Pooling(found["pooling"])})
    except (TypeError, KeyError, ValueError) as error:
        raise CorruptArtifactError(f"{folder / SHAPE}: {error}; run `eibert run` to rebuild it") from error


def read_tokens(folder: Path) -> tuple[str, ...]:
    """Returns the vocabulary in id order."""
    return tuple((folder / VOCABULARY).read_text(encoding="utf-8").removesuffix("\n").split("\n"))


def load_student(folder: Path, weights: str = WEIGHTS) -> Student:
    """Returns the student that `save_student` wrote, with a folded head if saved so.

    Raises:
        CorruptArtifactError: shape and weights do not match.
    """
    try:
        return student_of(read_shape(folder), read_tokens(folder), load_file(folder / weights))
    except RuntimeError as error:
        raise CorruptArtifactError(f"{folder / weights}: does not fit {SHAPE}; run `eibert run` to rebuild") from error


def student_of(shape: StudentShape, tokens: Sequence[str], state: Mapping[str, Tensor]) -> Student:
    """Returns a student with the given weights, its head folded if they contain no projection."""
    student = Student(shape, tokens)
    if "projection.weight" not in state:
        student.projection, student.head = None, nn.Linear(shape.hidden, shape.outputs)
    student.load_state_dict(state)
    return student.eval()
