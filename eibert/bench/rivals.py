"""The models a bundle is benchmarked against, each written to a folder for a fresh process to load."""

import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from eibert.batches import Batch
from eibert.bench.linear import FILE
from eibert.bench.onnx_model import GRAPH, TOKENIZER
from eibert.evaluate.features import Grams, block_sizes
from eibert.evaluate.rivals import LinearRival
from eibert.params.section import Pooling
from eibert.teacher import Teacher

TINY_VOCABULARY = 30_522
_OPSET = 17
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def write_teacher(teacher: Teacher, folder: Path) -> None:
    """Writes the teacher quantized by onnxruntime's own tools: dynamic INT8 of all its matmuls and its embeddings.

    Args:
        teacher: Loaded with eager attention, which onnxruntime can fuse.
        folder: An existing folder.
    """
    floats = folder / "floats.onnx"
    ids = torch.ones((2, 8), dtype=torch.long)
    named = {name: {0: "batch", 1: "tokens"} for name in _INPUTS}
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it advises pre-processing, which makes no measurable difference here
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the tracing exporter is deprecated; its successor needs onnxscript
            torch.onnx.export(
                _Logits(teacher).eval(), (ids, ids, torch.zeros_like(ids)), str(floats), dynamo=False,
                opset_version=_OPSET, input_names=list(_INPUTS), output_names=["logits"], dynamic_axes=named,
            )  # fmt: skip
            options = {"DefaultTensorType": onnx.TensorProto.FLOAT}
            quantize_dynamic(floats, folder / GRAPH, weight_type=QuantType.QInt8, extra_options=options)
    finally:
        logger.setLevel(level)
    floats.unlink()
    tokenizer = Tokenizer.from_str(teacher.tokenizer.to_str())
    tokenizer.enable_truncation(teacher.max_tokens, strategy="longest_first")
    tokenizer.no_padding()
    tokenizer.save(str(folder / TOKENIZER))


def tiny(teacher: Teacher, outputs: int, seed: int) -> Teacher:
    """Returns an untrained BERT of the smallest published size, 2 layers of 128; speed does not depend on weights."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=max(TINY_VOCABULARY, len(teacher.tokens)), hidden_size=128, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=512, attn_implementation="eager",
    )  # fmt: skip
    return Teacher(BertModel(config, add_pooling_layer=False), teacher.tokenizer, Pooling.CLS, outputs).eval()


def write_linear(rival: LinearRival, folder: Path) -> None:
    """Writes the arrays of the linear rival that count towards its size."""
    text = rival.text
    kinds = {Grams.WORD: ["word"], Grams.CHAR: ["char"], Grams.BOTH: ["word", "char"]}[text.grams]
    np.savez(
        folder / FILE, kinds=np.array(kinds), sizes=np.array(block_sizes(text.grams, text.buckets)),
        idf_codes=text.idf_codes, idf_scale=np.float32(text.idf_scale), codes=rival.codes, scales=rival.scales,
        overlaps=rival.overlaps, biases=rival.biases, pair=rival.pair, two_classes=rival.two_classes,
    )  # fmt: skip


class _Logits(nn.Module):
    """A teacher with plain tensors as inputs, as the exporter requires."""

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.teacher = teacher

    def forward(self, ids: Tensor, mask: Tensor, segments: Tensor) -> Tensor:
        return self.teacher.logits(Batch(ids, mask, segments))
