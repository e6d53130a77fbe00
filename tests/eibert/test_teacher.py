"""Where teachers are loaded from, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import normalizers, pre_tokenizers
from transformers import AutoTokenizer

from eibert import artifact
from eibert.artifact import sha256
from eibert.augment import Variants
from eibert.batches import encode
from eibert.checkpoint import Checkpoint
from eibert.corpus import Split, TaskSpec
from eibert.errors import TeacherError
from eibert.finetune import finetune
from eibert.matching import HeldOut
from eibert.params.load import Params
from eibert.params.section import Pooling, TeacherParams
from eibert.teacher import Teacher
from eibert.teacher_files import load_base, load_teacher, locate, save_teacher


def section(model: str, digest: str | None = None) -> TeacherParams:
    return TeacherParams(model=model, pooling=Pooling.MEAN, sha256=digest)


def test_bundled_teacher_has_the_expected_digest(params: Params, tmp_path: Path) -> None:
    found = locate(params.teacher, tmp_path)
    assert sha256(found / "model.safetensors") == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def test_another_digest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"teacher\.sha256: .* expected 0000"):
        locate(section("bundled", "0" * 64), tmp_path)


def test_a_folder_is_found_relative_to_the_workspace(teacher_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(teacher_folder, tmp_path / "own")
    assert load_base(locate(section("own"), tmp_path), Pooling.MEAN).hidden == 16


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"no model\.safetensors"):
        locate(section("nothing"), tmp_path)


def test_a_hub_id_is_found_in_the_local_cache(
    teacher_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    commit = "a" * 40
    shutil.copytree(teacher_folder, tmp_path / "models--some--model" / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path), raising=False)
    monkeypatch.setattr("huggingface_hub._snapshot_download.HF_HUB_CACHE", str(tmp_path), raising=False)
    assert load_base(locate(section(f"hf:some/model@{commit}"), tmp_path), Pooling.MEAN).hidden == 16


def test_a_hub_id_that_is_not_in_the_cache_says_so_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TeacherError, match=r"hf:some/none@main is not available from the local cache"):
        locate(section("hf:some/none@main"), tmp_path)


def test_a_hub_id_without_a_revision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="has no revision"):
        locate(section("hf:some/model"), tmp_path)


def test_missing_weights_are_not_filled_in_at_random(teacher_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(teacher_folder, tmp_path / "t")
    state = load_file(tmp_path / "t" / "model.safetensors")
    gone = next(name for name in state if "layer.1" in name)
    del state[gone]
    save_file(state, tmp_path / "t" / "model.safetensors", {"format": "pt"})
    with pytest.raises(TeacherError, match="lacks 1 weights"):
        load_base(tmp_path / "t", Pooling.MEAN)


def test_a_tokenizer_that_is_not_wordpiece_is_refused(teacher_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(teacher_folder, tmp_path / "t")
    (tmp_path / "t" / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(TeacherError, match=r"missing \[PAD\], \[UNK\]"):
        load_base(tmp_path / "t", Pooling.MEAN)


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        (lambda lines: [*lines[:5], lines[5], *lines[5:]], "a token is duplicated"),
        (lambda lines: [*lines, "more"], r"tokens, but \d+ embedding rows"),
    ],
)
def test_a_vocabulary_that_is_not_the_tables_is_refused(
    teacher_folder: Path, tmp_path: Path, vocabulary: Callable[[list[str]], list[str]], message: str
) -> None:
    shutil.copytree(teacher_folder, tmp_path / "t")
    lines = (teacher_folder / "vocab.txt").read_text().splitlines()
    (tmp_path / "t" / "vocab.txt").write_text("".join(f"{line}\n" for line in vocabulary(lines)))
    with pytest.raises(TeacherError, match=message):
        load_base(tmp_path / "t", Pooling.MEAN)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "not a transformers model"),
        ("model.safetensors", None, "not a transformers model"),
        ("tokenizer.json", b"{", "not a tokenizer"),
        ("config.json", b'{"model_type": "bert", "hidden_size": 32, "num_attention_heads": 2}', "not a transformers"),
    ],
)
def test_a_broken_file_is_named(
    teacher_folder: Path, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    shutil.copytree(teacher_folder, tmp_path / "t")
    path = tmp_path / "t" / name
    path.write_bytes(path.read_bytes()[:500] if content is None else content)
    with pytest.raises(TeacherError, match=message):
        load_base(tmp_path / "t", Pooling.MEAN)


def test_a_teacher_of_one_text_is_refused_for_pairs(
    teacher: Teacher, rows: Split, quick: Params, tmp_path: Path
) -> None:
    teacher.encoder.config.type_vocab_size = 1  # type: ignore[union-attr]
    spec = TaskSpec("pairs", pair=True, labels=("a", "b", "c"), metric="accuracy")
    pairs = Split(rows.texts, rows.texts, rows.targets)
    with pytest.raises(TeacherError, match="takes only single texts"):
        finetune(teacher, spec, pairs, pairs, quick.finetune, seed=1, checkpoint=Checkpoint(None))


def test_a_tokenizer_saved_with_padding_does_not_pad(teacher: Teacher, teacher_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(teacher_folder, tmp_path / "t")
    teacher.tokenizer.enable_padding(length=32)
    teacher.tokenizer.enable_truncation(4)
    teacher.tokenizer.save(str(tmp_path / "t" / "tokenizer.json"))
    found = load_base(tmp_path / "t", Pooling.MEAN)
    assert len(found.tokenizer.encode("play the song now").ids) == 6
    made = Variants(["singing"], found, np.random.default_rng(1), HeldOut())
    assert {made._shortened("singing") for _ in range(100)} == {"sing", "inging"}  # s ##ing ##ing


def cased(folder: Path, to: Path, **config: bool) -> Path:
    """Copies a teacher, adds two spellings to its vocabulary in place of others, and writes a tokenizer_config.json."""
    shutil.copytree(folder, to)
    tokens = (to / "vocab.txt").read_text().split("\n")
    tokens[tokens.index("play")], tokens[tokens.index("stop")] = "für", "fur"
    (to / "vocab.txt").write_text("\n".join(tokens))
    artifact.write_json(to / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", **config})
    return to


@pytest.mark.parametrize("strip_accents", [None, False, True])
@pytest.mark.parametrize("lowercase", [False, True])
def test_accents_are_treated_as_transformers_does(
    strip_accents: bool | None, lowercase: bool, teacher_folder: Path, tmp_path: Path
) -> None:
    config = {"do_lower_case": lowercase} | ({} if strip_accents is None else {"strip_accents": strip_accents})
    folder = cased(teacher_folder, tmp_path / "t", **config)
    expected = AutoTokenizer.from_pretrained(folder)("für Für")["input_ids"]
    assert load_base(folder, Pooling.MEAN).tokenizer.encode("für Für").ids == expected


def test_a_teacher_of_another_language_is_refused(teacher: Teacher, spec: TaskSpec, quick: Params) -> None:
    """Of the tokens of `play the` and of `日 日 play`, 0 and 2 are unknown: 2 of 5."""
    few = Split(["play the", "日 日 play"], None, np.array([0, 1]))

    def learn(limit: float) -> None:
        params = quick.finetune.model_copy(update={"epochs": 1, "max_unknown_share": limit})
        finetune(teacher, spec, few, few, params, seed=3, checkpoint=Checkpoint(None))

    with pytest.raises(TeacherError, match=r"40\.0% of the tokens of train are \[UNK\] to it, expected at most 39\.9%"):
        learn(0.399)
    learn(0.4)


def test_added_tokens_that_the_bundle_would_split_are_refused(
    teacher: Teacher, teacher_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(teacher_folder, tmp_path / "t")
    teacher.tokenizer.add_tokens(["[URL]", "playing"])
    teacher.tokenizer.save(str(folder / "tokenizer.json"))
    with pytest.raises(TeacherError, match=r"tokens were added to BERT's own: \[URL\], playing; expected none"):
        load_base(folder, Pooling.MEAN)


def test_ideographs_that_are_no_words_are_refused(teacher_folder: Path, tmp_path: Path) -> None:
    folder = cased(teacher_folder, tmp_path / "t", tokenize_chinese_chars=False)
    with pytest.raises(TeacherError, match=r"tokenizer_config\.json: `tokenize_chinese_chars` is false; expected true"):
        load_base(folder, Pooling.MEAN)


@pytest.mark.parametrize(
    ("part", "other", "message"),
    [
        ("normalizer", normalizers.Lowercase(), "the normalizer of its tokenizer has type Lowercase, clean_text None"),
        (
            "normalizer",
            normalizers.BertNormalizer(handle_chinese_chars=False),
            "has handle_chinese_chars False; exp",
        ),
        ("normalizer", normalizers.BertNormalizer(clean_text=False), "has clean_text False; expected type BertNorm"),
        ("pre_tokenizer", pre_tokenizers.Whitespace(), "the pre_tokenizer of its tokenizer has type Whitespace; exp"),
    ],
)
def test_a_tokenizer_with_other_words_than_the_bundles_is_refused(
    part: str, other: object, message: str, teacher: Teacher
) -> None:
    setattr(teacher.tokenizer, part, other)
    with pytest.raises(TeacherError, match=message):
        _ = teacher.casing


def test_a_saved_teacher_answers_alike(teacher: Teacher, tmp_path: Path) -> None:
    torch.manual_seed(0)
    teacher.head = torch.nn.Linear(16, 3)
    save_teacher(teacher, tmp_path)
    batch = encode(teacher.tokenizer, ["play the song", "stop"], None, max_tokens=20).batch([0, 1])
    with torch.no_grad():
        assert torch.equal(load_teacher(tmp_path).logits(batch), teacher.logits(batch))
    assert json.loads((tmp_path / "teacher.json").read_text())["pooling"] == "mean"


def test_pooling_takes_the_mean_of_real_tokens_or_the_first(teacher_folder: Path) -> None:
    mean, first = (load_base(teacher_folder, pooling) for pooling in (Pooling.MEAN, Pooling.CLS))
    rows = encode(mean.tokenizer, ["stop", "play the song now"], None, max_tokens=20)
    with torch.no_grad():
        tokens, pooled = mean(rows.batch([0, 1]))
        assert torch.allclose(pooled[0], tokens[0, :3].mean(dim=0), atol=1e-6)
        assert torch.equal(first(rows.batch([0, 1]))[1], first(rows.batch([0, 1]))[0][:, 0])
