"""The artifact of `code`."""

from pathlib import Path

import pytest

from eibert import artifact
from eibert.errors import RunError
from tasks import code


def test_each_stage_of_the_graph_has_its_file(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {code: {}, prune: {}, export: {}}\n")
    folder = code.run(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["export.json", "manifest.json", "prune.json"]
    assert artifact.read_json(folder / "prune.json") == code.current(tmp_path)["prune"]
    assert "tasks/prune.py" in code.current(tmp_path)["prune"]["modules"]


def test_writing_twice_gives_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {code: {}, prune: {}}\n")
    first = (code.run(tmp_path) / "manifest.json").read_bytes()
    assert (code.run(tmp_path) / "manifest.json").read_bytes() == first


@pytest.mark.parametrize("text", [None, "[", "stages:\n", "other: 1\n"])
def test_graph_without_stages_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "dvc.yaml").write_text(text)
    with pytest.raises(RunError, match=r"dvc\.yaml: cannot read its stages"):
        code.current(tmp_path)
