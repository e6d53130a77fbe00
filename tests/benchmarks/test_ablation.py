"""What each variant of the ablation changes, and the table it prints."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from eibert.params.load import parse

ROOT = Path(__file__).parents[2]
WEIGHTS = {"task", "logits", "hidden", "token"}


def changed(changes: dict[str, Any]) -> Any:
    """The repository's parameters with changes by dotted key."""
    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key, value in changes.items():
        *sections, last = key.split(".")
        place = document
        for section in sections:
            place = place[section]
        assert last in place
        place[last] = value
    return parse(document, "params.yaml")


@pytest.fixture
def ablation(benchmark: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The script, with workspaces created without `eibert` and models scored by the length of their names."""
    module = benchmark("ablation")
    read: list[tuple[str, ...]] = []

    def workspace(task: Any, variant: str, changes: dict[str, Any]) -> Path:
        folder = tmp_path / f"{task.name}-{task.seed}-{variant}"
        folder.mkdir(exist_ok=True)
        sources = [f"../{name}" for name in module.UNLABELLED[task.name]]
        params = changed({"ingest.unlabelled": sources} | changes)
        (folder / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json", by_alias=True)))
        return folder

    def scores(folder: Path, splits: tuple[str, ...]) -> dict[str, float]:
        read.append(splits)
        seed = int(folder.name.split("-")[1])
        return {"dev": 0.8 + (seed - 17) / 100 - 0.03 * ("no-kl" in folder.name), "bytes": 1000}

    monkeypatch.setattr(module.Task, "workspace", workspace)
    monkeypatch.setattr(module, "run", lambda *_: ({}, 60.0))
    monkeypatch.setattr(module, "scores", scores)
    module.read = read
    return module


def table(ablation: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *asked: str) -> list[str]:
    monkeypatch.setattr(sys, "argv", ["ablation.py", *asked])
    ablation.main()
    return capsys.readouterr().out.splitlines()[2:]


def test_every_variant_is_valid_and_differs_from_the_base(ablation: Any) -> None:
    for group in ablation.GROUPS.values():
        base = changed(ablation.BUDGET | {"ingest.unlabelled": ["text"], "distill.variants": 9})
        for name, changes in group.items():
            found = changed(ablation.BUDGET | {"ingest.unlabelled": ["text"], "distill.variants": 9} | changes)
            assert (found == base) == (name == ablation.BASE), name


def test_no_mse_leaves_no_mse(ablation: Any) -> None:
    left = {
        name: {weight for weight in WEIGHTS if getattr(changed(changes).distill, f"{weight}_weight")}
        for name, changes in ablation.VARIANTS.items()
    }
    assert left["no-mse"] == {"task", "logits"}
    assert left["no-sentence-mse"] == {"task", "logits", "token"}
    assert left["no-word-mse"] == {"task", "logits", "hidden"}


def test_no_unlabelled_takes_the_text_from_every_stage(ablation: Any) -> None:
    assert changed(ablation.VARIANTS["no-unlabelled"]).ingest.unlabelled == ()
    assert changed(ablation.VARIANTS["no-unlabelled-in-distill"]).ingest.unlabelled == ("sample",)


def test_only_dev_is_read_and_seeds_are_compared_in_pairs(
    ablation: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("mrpc", "--variants", "base", "no-kl", "--seeds", "17", "19")
    base, without = table(ablation, monkeypatch, capsys, *asked)
    assert base == "| mrpc | base | 2 | 81.0 ± 1.4 | – | 1,000 |"
    assert without == "| mrpc | no-kl | 2 | 78.0 ± 1.4 | -3.0 ± 0.0 | 1,000 |"
    assert set(ablation.read) == {("dev",)}


@pytest.mark.parametrize("variant", ["no-unlabelled", "no-unlabelled-in-distill"])
def test_variant_that_changes_nothing_is_left_out_with_a_line(
    ablation: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variant: str
) -> None:
    (left_out,) = table(ablation, monkeypatch, capsys, "mrpc", "--variants", variant)
    assert left_out == f"| mrpc | {variant} | – | changes nothing here, left out | – | – |"
    (measured,) = table(ablation, monkeypatch, capsys, "sst2", "--variants", variant)
    assert measured == f"| sst2 | {variant} | 1 | 80.0 | – | 1,000 |"
