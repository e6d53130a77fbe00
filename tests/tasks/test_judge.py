"""Every gate alone can reject a challenger; rows that either model has seen are not compared."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eibert import artifact
from eibert.errors import ArtifactError
from eibert.judge import Verdict
from eibert.matching import HeldOut
from flows.workspace import Workspace, find
from tasks import facts, packing
from tasks.comparison import Champion
from tasks.judge import build_of, judge, taught
from tests import toy

Judge = Callable[..., Verdict]


@pytest.fixture(scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("built") / "root"
    toy.build(toy.make_repository(root), wrong={0, 1, 2})
    return root


@pytest.fixture
def workspace(_built: Path, tmp_path: Path) -> Workspace:
    """A workspace with a recorded and signed bundle that is wrong on nine of 180 test rows."""
    shutil.copytree(_built, tmp_path / "root")
    return find(tmp_path / "root" / "models" / "w")


def champion(folder: Path, *, seen: HeldOut | None = None, **bundle: Any) -> Champion:
    """A registry version with that bundle."""
    toy.write_bundle(folder / packing.BUNDLE, **bundle)
    digests = (seen or HeldOut()).digests
    (folder / packing.SEEN).write_text("".join(f"{digest}\n" for digest in digests))
    return Champion(3, folder)


def judged(workspace: Workspace, held: Champion | None, **params: Any) -> Verdict:
    found = workspace.params()
    section = found.judge.model_copy(update=params)
    return judge(workspace.folder, held, section, found.shared, root=workspace.root)


def failed(verdict: Verdict) -> list[str]:
    return [gate.name for gate in verdict.gates if gate.passed is False]


def note(verdict: Verdict, name: str) -> str:
    [found] = [gate for gate in verdict.gates if gate.name == name]
    return found.note


def test_better_challenger_passes_every_gate(workspace: Workspace, tmp_path: Path) -> None:
    verdict = judged(workspace, champion(tmp_path / "c", wrong=range(6)))
    assert failed(verdict) == []
    assert verdict.champion == 3
    assert all(gate.passed for gate in verdict.gates)
    figures = verdict.figures
    # 60 words three times over: three wrong words against six.
    assert (figures["challenger"], figures["champion"]) == (pytest.approx(0.95), pytest.approx(0.9))
    assert figures["difference"] == pytest.approx(0.05)
    assert (figures["gained"], figures["lost"], figures["mcnemar_p"]) == (9, 0, pytest.approx(2 / 2**9))
    assert (figures["rows"], figures["rows_left_out"]) == (180, 0)


def test_first_version_needs_no_champion_but_all_else(workspace: Workspace) -> None:
    verdict = judged(workspace, None)
    assert failed(verdict) == []
    open_ = [gate.name for gate in verdict.gates if gate.passed is None]
    assert open_ == ["champion", "task", "metric", "classes", "latency"]
    assert verdict.champion is None
    assert failed(judged(workspace, None, min_rows=181)) == ["rows"]


def test_altered_trail_keeps_out(workspace: Workspace, tmp_path: Path) -> None:
    path = workspace.root / "trail" / "records.jsonl"
    path.write_text(path.read_text().replace("models/w", "models/v", 1))
    assert failed(judged(workspace, champion(tmp_path / "c"), margin=0.2)) == ["trail"]


def test_bundle_that_the_trail_does_not_know_is_kept_out(workspace: Workspace, tmp_path: Path) -> None:
    toy.build(workspace, wrong={5}, record=False)
    assert failed(judged(workspace, champion(tmp_path / "c"), margin=0.2)) == ["trail"]


def test_altered_signature_keeps_out(workspace: Workspace, tmp_path: Path) -> None:
    path = workspace.folder / "data" / "provenance" / "bundle.sig"
    path.write_bytes(path.read_bytes() + b" ")
    assert failed(judged(workspace, champion(tmp_path / "c"), margin=0.2)) == ["signature"]


def test_missing_papers_keep_out(workspace: Workspace, tmp_path: Path) -> None:
    shutil.rmtree(workspace.folder / "data" / "provenance")
    assert failed(judged(workspace, champion(tmp_path / "c"), margin=0.2)) == ["signature"]


def test_too_many_bytes_keep_out(workspace: Workspace, tmp_path: Path) -> None:
    toy.build(workspace, wrong={0, 1, 2}, budget=2000)
    assert failed(judged(workspace, champion(tmp_path / "c"), margin=0.2)) == ["bytes"]


def test_integers_that_answer_otherwise_keep_out(workspace: Workspace, tmp_path: Path) -> None:
    toy.build(workspace, wrong={0, 1, 2}, student_wrong={0})
    verdict = judged(workspace, champion(tmp_path / "c"), margin=0.2)
    assert failed(verdict) == ["agreement"]
    assert note(verdict, "agreement").startswith("96.67%")  # 6 of 180 rows


def test_better_cheap_rival_keeps_out(workspace: Workspace, tmp_path: Path) -> None:
    toy.build(workspace, wrong={0, 1, 2}, rival={"difference": -0.02, "low": -0.03, "high": -0.01})
    assert failed(judged(workspace, champion(tmp_path / "c"), margin=0.2)) == ["rivals"]


def test_worse_metric_keeps_out(workspace: Workspace, tmp_path: Path) -> None:
    verdict = judged(workspace, champion(tmp_path / "c"))
    assert failed(verdict) == ["metric"]
    assert verdict.figures["difference"] == pytest.approx(-0.05)


def test_one_class_that_fell_keeps_out_though_the_whole_is_better(workspace: Workspace, tmp_path: Path) -> None:
    toy.build(workspace, wrong={1, 4, 7})
    verdict = judged(workspace, champion(tmp_path / "c", wrong={0, 3, 6, 2, 5, 8}))
    assert failed(verdict) == ["classes"]
    assert "recall of neutral fell by 0.1500" in note(verdict, "classes")


def test_slower_challenger_is_kept_out(workspace: Workspace, tmp_path: Path) -> None:
    assert failed(judged(workspace, champion(tmp_path / "c"), margin=0.2, max_latency_ratio=1e-6)) == ["latency"]


def test_champion_that_cannot_be_loaded_is_no_open_door(workspace: Workspace, tmp_path: Path) -> None:
    held = champion(tmp_path / "c")
    (held.folder / packing.BUNDLE / "vocab.txt").write_text("x")
    verdict = judged(workspace, held)
    assert failed(verdict) == ["champion"]
    assert "altered" in note(verdict, "champion")
    told = Champion(3, tmp_path / "none", problem="the registry has lost it")
    assert "the registry has lost it" in note(judged(workspace, told), "champion")


@pytest.mark.parametrize("other", [{"pair": True}, {"labels": ()}])
def test_another_kind_of_task_keeps_out(other: dict[str, Any], workspace: Workspace, tmp_path: Path) -> None:
    verdict = judged(workspace, champion(tmp_path / "c", **other))
    assert failed(verdict) == ["task"]
    assert {gate.name for gate in verdict.gates if gate.passed is None} == {"metric", "classes", "latency"}


def test_label_that_is_gone_keeps_out(workspace: Workspace, tmp_path: Path) -> None:
    verdict = judged(workspace, champion(tmp_path / "c", labels=(*toy.LABELS, "unsure")), margin=0.2)
    assert failed(verdict) == ["task"]
    assert note(verdict, "task") == "removed: unsure"


def test_new_label_is_compared_on_the_classes_that_both_know(workspace: Workspace, tmp_path: Path) -> None:
    verdict = judged(workspace, champion(tmp_path / "c", labels=toy.LABELS[:2]), margin=0.2)
    assert failed(verdict) == []
    assert note(verdict, "task") == "new: positive"
    assert verdict.figures["rows_compared"] == 120
    # Of the 40 words of both classes the challenger is wrong on two, the champion on none.
    assert verdict.figures["difference"] == pytest.approx(-2 / 40)


def test_answers_of_a_new_label_are_no_class_of_macro_f1(workspace: Workspace, tmp_path: Path) -> None:
    toy.build(workspace, wrong={1}, metric="macro_f1")  # a word of the second class is assigned to the new, third one
    verdict = judged(workspace, champion(tmp_path / "c", labels=toy.LABELS[:2], metric="macro_f1"), margin=0.05)
    assert failed(verdict) == []
    assert verdict.figures["rows_compared"] == 120
    # Of the second class 57 of 60 rows: F1 2 · 57 / 117; of the first one 1.
    assert verdict.figures["challenger"] == pytest.approx((1 + 114 / 117) / 2)
    assert verdict.figures["champion"] == 1.0
    assert verdict.figures["difference"] == pytest.approx((114 / 117 - 1) / 2)


def test_rows_of_a_new_label_are_not_among_those_that_must_be_enough(workspace: Workspace, tmp_path: Path) -> None:
    held = champion(tmp_path / "c", labels=toy.LABELS[:2])
    verdict = judged(workspace, held, margin=0.2, min_rows=121)
    assert failed(verdict) == ["rows"]
    assert note(verdict, "rows") == (
        "120 of 180 test rows; left out: 60 with labels unknown to the champion; fewer than judge.min_rows 121: "
        "add labelled test rows"
    )
    assert verdict.figures["rows"] == 180


def test_without_a_row_of_a_label_that_both_know_it_is_kept_out(workspace: Workspace, tmp_path: Path) -> None:
    known = [word for word in range(60) if word % 3 != 2]
    seen = HeldOut.of((" ".join([toy.WORDS[word]] * repeat), None) for word in known for repeat in (1, 2, 3))
    verdict = judged(workspace, champion(tmp_path / "c", labels=toy.LABELS[:2], seen=seen))
    assert (verdict.figures["rows"], failed(verdict)) == (60, ["rows"])
    assert note(verdict, "metric") == "no rows to compare"


def test_equal_answers_on_few_rows_do_not_show_that_the_loss_is_within_the_margin(
    workspace: Workspace, tmp_path: Path
) -> None:
    seen = HeldOut.of((text, None) for text in texts(range(20)))
    verdict = judged(workspace, champion(tmp_path / "c", seen=seen))
    assert (verdict.figures["rows_compared"], verdict.figures["difference"]) == (120, 0)
    assert failed(verdict) == ["metric"]
    assert "180 rows with these results would suffice" in note(verdict, "metric")
    assert "on 180 rows, by 0.02" in note(verdict, "rows")


def test_another_metric_is_applied_to_both(workspace: Workspace, tmp_path: Path) -> None:
    verdict = judged(workspace, champion(tmp_path / "c", wrong=range(6), metric="macro_f1"))
    assert failed(verdict) == []
    assert note(verdict, "task") == "both scored by accuracy here, though the champion was judged by macro_f1"


def texts(words: range, repeats: tuple[int, ...] = (1, 2, 3)) -> list[str]:
    return [" ".join([toy.WORDS[word]] * repeat) for repeat in repeats for word in words]


def test_rows_that_the_champion_has_learnt_from_do_not_count(workspace: Workspace, tmp_path: Path) -> None:
    seen = HeldOut.of((text.upper(), None) for text in texts(range(20)))
    verdict = judged(workspace, champion(tmp_path / "c", seen=seen), margin=0.05)
    assert failed(verdict) == []  # the words on which it is better are among them
    assert (verdict.figures["rows"], verdict.figures["rows_left_out"]) == (120, 60)
    assert verdict.figures["difference"] == 0
    assert note(verdict, "rows") == "120 of 180 test rows; left out: 60 that the champion was trained or tuned on"
    assert failed(judged(workspace, champion(tmp_path / "c", seen=seen), margin=0.05, min_rows=121)) == ["rows"]


def test_rows_that_the_challenger_has_learnt_from_do_not_count(workspace: Workspace, tmp_path: Path) -> None:
    toy.build(workspace, wrong={0, 1, 2}, train=texts(range(50, 60)))
    verdict = judged(workspace, champion(tmp_path / "c"), margin=0.2)
    assert verdict.figures["rows"] == 150
    assert "30 that the challenger was trained or tuned on" in note(verdict, "rows")


def test_without_rows_nothing_is_compared(workspace: Workspace, tmp_path: Path) -> None:
    seen = HeldOut.of((text, None) for text in texts(range(60)))
    verdict = judged(workspace, champion(tmp_path / "c", seen=seen))
    assert failed(verdict) == ["rows"]
    assert note(verdict, "metric") == "no rows to compare"


@pytest.mark.parametrize(
    ("task", "wrong", "expected"),
    [
        ({"labels": (), "metric": "spearman"}, {0, 1, 2}, ["metric"]),
        ({"labels": (), "metric": "spearman"}, set(), []),
        ({"pair": True}, {0, 1, 2}, ["metric"]),
        ({"pair": True, "labels": (), "metric": "spearman"}, set(), []),
    ],
)
def test_pairs_and_numbers_are_judged(
    task: dict[str, Any], wrong: set[int], expected: list[str], workspace: Workspace, tmp_path: Path
) -> None:
    toy.build(workspace, wrong=wrong, **task)
    assert failed(judged(workspace, champion(tmp_path / "c", **task))) == expected


def test_evaluation_of_another_bundle_is_refused(workspace: Workspace) -> None:
    with artifact.writing(workspace.folder, "export", params={}, inputs={}) as part:
        toy.write_bundle(part / "bundle", wrong={7})
        artifact.write_json(part / "metrics.json", {"budget_bytes": 9999})
    with pytest.raises(ArtifactError, match=r"based on another export; run `eibert run`"):
        judged(workspace, None)


def test_altered_bundle_is_refused(workspace: Workspace) -> None:
    (facts.bundle_folder(workspace.folder) / "vocab.txt").write_text("x")
    with pytest.raises(ArtifactError, match=r"vocab\.txt: altered"):
        judged(workspace, None)


def test_what_a_bundle_has_learnt_from_is_train_and_dev(workspace: Workspace) -> None:
    seen = taught(workspace.folder)
    assert len(seen.digests) == 120
    assert seen.has("W00 w00  w00 w00")
    assert seen.has("w59 w59 w59 w59 w59")
    assert not seen.has("w00")


def test_record_of_a_bundle_is_the_one_its_papers_name(workspace: Workspace) -> None:
    bundle = facts.bundle_folder(workspace.folder)
    found = build_of(workspace.root, workspace.folder, bundle)
    assert found is not None
    assert found.sequence == 1
    toy.build(workspace, wrong={5})
    assert build_of(workspace.root, workspace.folder, bundle).sequence == 2  # type: ignore[union-attr]
