"""The teacher: a BERT-family transformers encoder with a WordPiece tokenizer, and a linear task head."""

import json
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor, nn

from eibert.batches import Batch
from eibert.errors import TeacherError
from eibert.losses import pool
from eibert.params.section import Pooling

_BERTS_OWN: dict[str, dict[str, Any]] = {
    "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
}
"""What finds the words of a text in the bundle's tokenizer."""


@dataclass(frozen=True)
class Casing:
    """How the tokenizer normalises text; strip_accents None: same as lowercase."""

    lowercase: bool
    strip_accents: bool | None


class Teacher(nn.Module):
    """A transformers encoder, its tokenizer, and a head once fine-tuned on a task.

    Args:
        encoder: Returns token representations as its first output.
        tokenizer: WordPiece with BERT's special tokens.
        pooling: How tokens are pooled into one representation.
        outputs: Number of logits C; 0: no head.
    """

    def __init__(self, encoder: nn.Module, tokenizer: Tokenizer, pooling: Pooling, outputs: int = 0) -> None:
        super().__init__()
        config: Any = encoder.config
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.hidden: int = config.hidden_size
        self.max_tokens: int = config.max_position_embeddings
        self.head = nn.Linear(self.hidden, outputs) if outputs else None

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns token representations float (B, T, H) and the sentence representation (B, H)."""
        tokens = self.encoder(input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.segments)[0]
        return tokens, pool(tokens, batch.mask, self.pooling)

    def answer(self, pooled: Tensor) -> Tensor:
        """Returns the logits of sentence representations: float (B, H) → (B, C)."""
        assert self.head is not None
        answered: Tensor = self.head(pooled)
        return answered

    def logits(self, batch: Batch) -> Tensor:
        """Returns logits, float (B, C)."""
        return self.answer(self(batch)[1])

    def with_head(self, head: nn.Linear) -> "Teacher":
        """Returns a teacher with another head on the same, shared encoder."""
        found = Teacher(self.encoder, self.tokenizer, self.pooling)
        found.max_tokens, found.head = self.max_tokens, head
        return found.train(self.training)

    @property
    def tokens(self) -> list[str]:
        """Vocabulary in id order."""
        vocabulary = self.tokenizer.get_vocab()
        return sorted(vocabulary, key=vocabulary.__getitem__)

    @property
    def casing(self) -> Casing:
        """How the tokenizer normalises text; raises TeacherError unless it does so as BERT does."""
        parts = json.loads(self.tokenizer.to_str())
        for name, expected in _BERTS_OWN.items():
            found = parts[name] or {}
            if others := [f"{key} {found.get(key)}" for key, value in expected.items() if found.get(key) != value]:
                raise TeacherError(
                    f"teacher.model: the {name} of its tokenizer has {', '.join(others)}; expected "
                    f"{', '.join(f'{key} {value}' for key, value in expected.items())}, as in the bundle's tokenizer; "
                    "save the teacher with BERT's own tokenizer"
                )
        normalizer = parts["normalizer"]
        return Casing(bool(normalizer.get("lowercase", False)), normalizer.get("strip_accents"))

    @property
    def table(self) -> Tensor:
        """Token embedding table, float (V, H), without unused rows beyond the vocabulary."""
        return self.encoder.get_input_embeddings().weight.detach()[: len(self.tokens)]  # type: ignore[operator, no-any-return]

    @property
    def position_table(self) -> Tensor | None:
        """Position embedding table, float (P, H); None if positions are not learnt as a table."""
        embeddings = getattr(self.encoder, "embeddings", None)
        table = getattr(embeddings, "position_embeddings", None)
        return table.weight.detach() if isinstance(table, nn.Embedding) else None

    def train_upper(self, layers: int) -> list[nn.Parameter]:
        """Freezes all but the top encoder layers and the head; returns the trainable parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        stack = _layers(self.encoder)
        chosen = [*stack[max(0, len(stack) - layers) :], *([self.head] if self.head is not None else [])]
        learning = [parameter for module in chosen for parameter in module.parameters()]
        for parameter in learning:
            parameter.requires_grad_(True)
        return learning


def _layers(encoder: nn.Module) -> list[nn.Module]:
    stacks = [module for module in encoder.modules() if isinstance(module, nn.ModuleList)]
    return list(max(stacks, key=len, default=[]))
