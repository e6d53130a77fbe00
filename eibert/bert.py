"""The parts of a transformers BERT encoder, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

_PARTS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "feed_forward_input": "intermediate.dense",
    "activation": "intermediate.intermediate_act_fn",
    "feed_forward_output": "output.dense",
}
_TABLES = ("word_embeddings", "position_embeddings", "token_type_embeddings")


@dataclass(frozen=True)
class BertLayer:
    """One post-norm layer; linear maps are H_T → H_T, the teacher's width, unless a comment says otherwise."""

    heads: int
    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_output: nn.Linear
    attention_norm: nn.LayerNorm
    feed_forward_input: nn.Linear  # H_T → F_T
    activation: Callable[[Tensor], Tensor]
    feed_forward_output: nn.Linear  # F_T → H_T

    def context(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Returns multi-head attention before its output projection: (B, T, H_T) and (B, 1, 1, T) → (B, T, H_T)."""
        query, key, value = (
            part(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + bias
        mixed: Tensor = scores.softmax(dim=-1) @ value
        return mixed.transpose(1, 2).flatten(2)


def bert_layers(encoder: nn.Module) -> list[BertLayer] | None:
    """Returns the layers of an encoder, or None if it is not built like BERT."""
    stack = getattr(getattr(encoder, "encoder", None), "layer", None)
    embeddings = getattr(encoder, "embeddings", None)
    tables = [getattr(embeddings, name, None) for name in _TABLES]
    if not isinstance(stack, nn.ModuleList) or not all(isinstance(table, nn.Embedding) for table in tables):
        return None
    config: Any = encoder.config
    widths = {table.embedding_dim for table in tables if isinstance(table, nn.Embedding)}
    if widths != {config.hidden_size} or getattr(config, "position_embedding_type", "absolute") != "absolute":
        return None
    try:
        return [
            BertLayer(config.num_attention_heads, **{name: _part(layer, path) for name, path in _PARTS.items()})
            for layer in stack
        ]
    except AttributeError:
        return None


def _part(layer: nn.Module, path: str) -> Any:
    found: Any = layer
    for name in path.split("."):
        found = getattr(found, name)
    return found
