"""The quality table shows only the current parameters, and says where a rival is preferable."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def no_fasttext(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stubs fastText, which only the extra `benchmarks` installs; nothing is measured here."""
    monkeypatch.setitem(sys.modules, "fasttext_rival", ModuleType("fasttext_rival"))


TEST = {
    "teacher": 0.9, "student": 0.801, "bundle": 0.8, "control": 0.79, "undistilled": 0.7, "static": 0.6,
    "fasttext": 0.65, "tfidf": 0.75,
}  # fmt: skip


def record(task: str, digest: str = "", **scores: float) -> dict[str, Any]:
    test = TEST | scores
    return {
        "task": task, "seed": 17, "preset": "default", "digest": digest, "settings": {}, "metric": "accuracy",
        "minutes": 1.0, "dev": test, "test": test, "bytes": dict.fromkeys(test, 1000), "agreement": 0.999,
    }  # fmt: skip


def test_rival_above_is_recommended(benchmark: Any) -> None:
    told = benchmark("quality_tables").table([record("mrpc", tfidf=0.83, static=0.8), record("sick", bundle=0.9)])
    assert (
        "- mrpc: against the bundle (80.0), TF-IDF (83.0) is above by 3.0 points, the static table (80.0) ties; "
        "recommended there: TF-IDF." in told
    )
    assert "- sick" not in told
    # (80 - 83 + 90 - 79) / 2
    assert "- Mean lead over the best rival of each task: +4.0 points over 2 of 8 tasks; 3.0 points reached." in told


def test_short_lead_is_told_and_cola_stands_apart(benchmark: Any) -> None:
    told = benchmark("quality_tables").table([record("sick"), record("cola", control=0.85)])
    assert "- cola: against the bundle (80.0), plain distillation (85.0) is above by 5.0 points" in told
    assert "each task: +1.0 points over 1 of 8 tasks; 3.0 points not reached." in told
    assert "`control` (plain distillation of the same student) are measured in fp32" in told


def test_mean_lead_over_each_rival(benchmark: Any) -> None:
    records = [record("sick", scratch=0.7), record("mrpc", bundle=0.9), record("cola", scratch=0.1)]
    told = benchmark("quality_tables").table(records)
    # control: (80 - 79 + 90 - 79) / 2; from scratch only for sick: 80 - 70; cola stands apart
    assert (
        "- Mean lead over each: plain distillation +6.0, the undistilled student +15.0, "
        "distillation from scratch +10.0, the static table +25.0, fastText +20.0, TF-IDF +10.0." in told
    )


def test_rivals_are_added_to_the_record_that_is_there(
    project: Path, benchmark: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = benchmark("quality")
    there = record("mrpc", module.Task("mrpc", 17, "default", project / "datasets").digest())
    records = project / "quality.json"
    records.write_text(json.dumps([there]))
    monkeypatch.setattr(module, "RECORDS", records)
    monkeypatch.setattr(module, "run", lambda *_: None)
    monkeypatch.setattr(module, "scores", lambda folder: {"dev": 0.6, "test": 0.5, "bytes": len(folder.name)})
    command = ["quality.py", "mrpc", "--datasets", str(project / "datasets"), "--rivals", "scratch"]
    monkeypatch.setattr(sys, "argv", command)
    module.main()
    (found,) = json.loads(records.read_text())
    assert found["test"] == there["test"] | {"scratch": 0.5}
    assert found["dev"] == there["dev"] | {"scratch": 0.6}
    assert found["bytes"] == there["bytes"] | {"scratch": len("mrpc-scratch-0123456789ab")}
    assert found | {part: there[part] for part in ("dev", "test", "bytes")} == there
    assert "distillation from scratch +30.0" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*command, "--seeds", "18"])
    with pytest.raises(SystemExit, match=r"mrpc, seed 18: not in quality\.json; measure it without --rivals first"):
        module.main()


def test_table_without_a_control_has_a_gap(benchmark: Any) -> None:
    without = record("sick")
    del without["test"]["control"]
    row = benchmark("quality_tables").table([without]).splitlines()[2]
    assert row.split(" | ")[6] == "–"


def test_records_of_other_parameters_are_left_out(project: Path, benchmark: Any) -> None:
    datasets, module = project / "datasets", benchmark("quality")
    now = module.Task("mrpc", 17, "default", datasets).digest()
    threads = module.Task("mrpc", 17, "default", datasets, {"distill.threads": "2"}).digest()
    old = record("mrpc")
    del old["digest"]
    records = [record("mrpc", now), record("mrpc", threads), record("mrpc", "0123456789ab"), old]
    assert module.present(records, "default", datasets, {}) == records[:1]
    assert module.present(records, "default", datasets, {"distill.threads": "2"}) == records[1:2]
    (project / "presets" / "default.yaml").write_text("distill: {epochs: 13}\n")
    assert module.present(records, "default", datasets, {}) == []
