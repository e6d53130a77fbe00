"""A bundle in the model hub layout that transformers, optimum and transformers.js expect.

The graph is the bundle's own, byte for byte; the other files restate the bundle in the hub's formats. None of them
ship, so none count towards the bundle's bytes.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from eibert import __version__
from eibert.artifact import write_json
from eibert.errors import BundleError
from eibert.runtime.bundle import CONFIGURATION, VOCABULARY, Bundle, read_bundle
from eibert.runtime.tokenizer import CLASSIFY, MASK, PAD, SEPARATE, SPECIALS, UNKNOWN, wordpiece

GRAPH = "onnx/model.onnx"
VALUE = "value"
"""Label of a regression's single output."""

_SPECIALS = {
    "cls_token": CLASSIFY, "mask_token": MASK, "pad_token": PAD, "sep_token": SEPARATE, "unk_token": UNKNOWN,
}  # fmt: skip


def write_hub(bundle: Path, out: Path) -> Bundle:
    """Writes a bundle in the hub layout, without a model card, into an existing folder; returns the bundle.

    Args:
        bundle: Folder of a bundle.
        out: Where `config.json`, `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`, `vocab.txt` and
            `onnx/model.onnx` go.

    Raises:
        BundleError: the bundle is missing, altered or of an unknown format, or its graph is not ONNX.
    """
    found, graph = read_bundle(bundle)
    sizes = _sizes(graph, bundle / "model.onnx")
    (out / GRAPH).parent.mkdir()
    (out / GRAPH).write_bytes(graph)
    (out / VOCABULARY).write_bytes((bundle / VOCABULARY).read_bytes())
    tokenizer = wordpiece(
        found.tokens, lowercase=found.lowercase, strip_accents=found.strip_accents, max_tokens=found.max_tokens
    )
    tokenizer.no_truncation()  # there, callers request truncation, up to model_max_length
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.save(str(out / "tokenizer.json"))
    write_json(out / "tokenizer_config.json", tokenizer_config(found))
    write_json(out / "special_tokens_map.json", _SPECIALS)
    origin = {
        "version": __version__,
        "bundle": {
            name: hashlib.sha256((bundle / name).read_bytes()).hexdigest()
            for name in (CONFIGURATION, "model.onnx", VOCABULARY)
        },
    }
    write_json(out / "config.json", config(found) | sizes | {"eibert": origin})
    return found


def tokenizer_config(bundle: Bundle) -> dict[str, Any]:
    """Returns `tokenizer_config.json`: BERT's tokenizer, treating special tokens typed in a text as plain text."""
    return {
        **_SPECIALS,
        "tokenizer_class": "BertTokenizer",
        "model_max_length": bundle.max_tokens,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "do_lower_case": bundle.lowercase,
        "strip_accents": bundle.strip_accents,
        "tokenize_chinese_chars": True,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
    }


def config(bundle: Bundle) -> dict[str, Any]:
    """Returns the part of `config.json` that describes architecture, classes and vocabulary."""
    names = bundle.labels or (VALUE,)
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "problem_type": "single_label_classification" if bundle.labels else "regression",
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
        "pad_token_id": bundle.tokens.index(PAD),
        "vocab_size": len(bundle.tokens),
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "transformers.js_config": {"dtype": "fp32"},  # selects the file name, onnx/model.onnx, not the precision
    }


def _sizes(graph: bytes, path: Path) -> dict[str, int]:
    """Returns the student's sizes as read from constants and attention nodes; sizes not found are omitted."""
    try:
        loaded = onnx.load_from_string(graph).graph
    except DecodeError as error:
        raise BundleError(f"{path}: not an ONNX graph; export the bundle again") from error
    # Names that are not UTF-8 come as bytes.
    rows = {str(tensor.name): tensor.dims[0] for tensor in loaded.initializer if len(tensor.dims)}
    found = {
        "hidden_size": rows.get("embedding_norm.weight"),
        "intermediate_size": rows.get("layers.0.feed_forward_input.bias"),
        "max_position_embeddings": rows.get("positions"),
        "num_attention_heads": _heads(loaded),
        "num_hidden_layers": sum(bool(re.fullmatch(r"layers\.\d+\.attention_norm\.weight", name)) for name in rows),
    }
    return {name: int(value) for name, value in found.items() if value}


def _heads(graph: onnx.GraphProto) -> int | None:
    """Returns the number of heads from an Attention node, or None."""
    attributes = (attribute for node in graph.node if node.op_type == "Attention" for attribute in node.attribute)
    return next((int(attribute.i) for attribute in attributes if attribute.name == "num_heads"), None)
