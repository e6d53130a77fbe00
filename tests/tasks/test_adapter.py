"""Checkpoints and cached teacher outputs are keyed by what shapes the run."""

from pathlib import Path

from eibert import artifact
from tasks.adapter import checkpoint, outputs


def wrote(workspace: Path, stage: str, text: str) -> None:
    folder = artifact.folder(workspace, "code")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stage}.json").write_text(text, encoding="utf-8")


def names(workspace: Path) -> tuple[str, str]:
    return checkpoint(workspace, "distill", "student", {}, {}).key, outputs(workspace, "distill").made_by


def test_other_code_makes_it_another_run_with_other_outputs(tmp_path: Path) -> None:
    before = names(tmp_path)
    wrote(tmp_path, "pretrain", "{}")
    assert names(tmp_path) == before
    wrote(tmp_path, "distill", '{"libraries": {"transformers": "1"}}')
    first = names(tmp_path)
    wrote(tmp_path, "distill", '{"libraries": {"transformers": "2"}}')
    second = names(tmp_path)
    assert all(len(set(found)) == 3 for found in zip(before, first, second, strict=True))
