"""The record of retrainings, and how it is presented."""

import base64
import html
import json
import re
import shutil
from xml.etree import ElementTree

import pytest

from flows import history
from flows.history import Outcome, Retraining
from flows.history_page import write
from flows.retrain_page import markdown, overview
from flows.workspace import Workspace, find
from tasks.history import Point
from tasks.picture import size_against_quality

SHIFT = {"name": "labels", "value": 0.25, "bound": 0.1, "reaction": "fail", "beyond": True, "note": "a|b 1% → 9%"}
VERDICT = {
    "gates": [
        {"name": "quality", "value": -0.031, "bound": -0.02, "passed": False, "note": "<b>worse</b>", "at_least": True},
        {"name": "bytes", "value": 1466880.0, "bound": 1910000.0, "passed": True, "note": "", "at_least": False},
    ],
    "figures": {"challenger": 0.81, "bytes": 1466880.0},
}


def some(number: int, **more: object) -> Retraining:
    return Retraining("models/w", Outcome.KEPT, f"reason {number}", version=number, **more)  # type: ignore[arg-type]


def test_history_keeps_the_newest_within_its_limit(unbuilt: Workspace) -> None:
    for number in range(5):
        history.add(unbuilt, some(number), limit=3)
    assert [one.version for one in history.read(unbuilt)] == [2, 3, 4]
    assert history.read(unbuilt)[-1] == some(4, when=history.read(unbuilt)[-1].when, notes=[])


def test_torn_line_costs_itself_only(unbuilt: Workspace) -> None:
    history.add(unbuilt, some(1), limit=9)
    path = unbuilt.private() / "retrainings.jsonl"
    path.write_text(path.read_text() + '{"workspace": "models/w", "outc')
    history.add(unbuilt, some(2), limit=9)
    assert [one.version for one in history.read(unbuilt)] == [1, 2]


def test_any_label_may_stand_in_a_reason(unbuilt: Workspace) -> None:
    history.add(unbuilt, some(1, notes=["class a\u2028b\u0085c"]), limit=9)
    assert [one.notes for one in history.read(unbuilt)] == [["class a\u2028b\u0085c"]]


def test_secrets_do_not_enter_the_history(unbuilt: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_TOKEN", "hunter22222")
    history.add(unbuilt, some(1, notes=["https://me:pa55word@host", "hunter22222"]), limit=9)
    text = (unbuilt.private() / "retrainings.jsonl").read_text()
    assert "pa55word" not in text
    assert "hunter" not in text


def test_page_shows_gates_drift_and_history() -> None:
    found = some(2, verdict=VERDICT, drift={"new_rows": 1200, "compared": "new rows", "shifts": [SHIFT]}, drifted=True)
    page = markdown(found, [some(1), found])
    assert page.startswith("# models/w: kept · drifted\n")
    assert "| quality | -0.031 | ≥ -0.02 | **failed** | &lt;b&gt;worse&lt;/b&gt; |" in page
    assert "| bytes | 1,466,880 | ≤ 1,910,000 | passed |" in page
    assert "## Drift of new rows (1,200 new)" in page
    assert "| labels | 0.25 | ≤ 0.1 | **stops** | a\\|b 1% → 9% |" in page
    assert page.index("reason 2", page.index("## History")) < page.index("reason 1", page.index("## History"))


def test_page_carries_a_picture_of_its_own_and_no_address_of_elsewhere() -> None:
    evaluated = {
        "metric": "accuracy", "test": {"bundle": 0.9, "teacher": 0.95, "tfidf": 0.8},
        "bytes": {"bundle": 1_500_000, "teacher": 90_000_000, "tfidf": 1_500_000},
    }  # fmt: skip
    before = Point(number=3, created="", in_service=True, score=0.85, size_bytes=1_400_000, digest="")
    address = size_against_quality(evaluated, before)
    kind, _, content = address.partition(",")
    assert kind == "data:image/svg+xml;base64"
    picture = ElementTree.fromstring(base64.b64decode(content))
    labels = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Teacher", "Version 3, previously in service"} <= set(labels)
    assert len(list(picture.iter("{http://www.w3.org/2000/svg}circle"))) == 4
    page = markdown(some(2, verdict=VERDICT), [some(2)], address)
    assert f"({address})" in page[page.index("## Size and quality") : page.index("| figure | value |")]


def section(page: str, name: str) -> str:
    """The text of one section of the page."""
    [found] = re.findall(rf'<section aria-labelledby="{name}">(.*?)</section>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


def test_page_without_versions_and_retrainings_says_what_makes_the_first(unbuilt: Workspace) -> None:
    page = write(unbuilt).read_text()
    first = "Versions None yet: eibert promote -C models/w registers the first, once a bundle is built."
    assert section(page, "versions") == first
    assert section(page, "retrainings") == "Retrainings None yet: eibert retrain -C models/w makes the first."
    assert "<table>" not in page
    (unbuilt.root / "a b").mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(unbuilt.folder / name, unbuilt.root / name)
        shutil.copy(unbuilt.folder / name, unbuilt.root / "a b" / name)
    assert "eibert retrain -C . makes the first" in section(write(find(unbuilt.root)).read_text(), "retrainings")
    page = html.unescape(write(find(unbuilt.root / "a b")).read_text())
    assert "eibert retrain -C 'a b' makes the first" in section(page, "retrainings")


def test_page_with_a_retraining_and_no_version_lists_the_one_and_tells_of_the_other(unbuilt: Workspace) -> None:
    history.add(unbuilt, Retraining("models/w", Outcome.FAILED, "no rows"), limit=None)
    page = write(unbuilt).read_text()
    assert "None yet" in section(page, "versions")
    assert section(page, "retrainings").endswith("failed – 0 no rows")


def test_overview_counts_the_outcomes() -> None:
    page = overview([some(1), some(2), Retraining("models/x", Outcome.FAILED, "MLflow does not answer")])
    assert page.startswith("# 2 kept, 1 failed\n")
    assert "| models/x | failed |  | none | MLflow does not answer |" in page


def test_retraining_is_json() -> None:
    found = some(1, notes=["x"])
    values = json.loads(json.dumps(found.as_object()))
    assert Retraining(**{**values, "outcome": Outcome(values["outcome"])}) == some(1, notes=["x"], when=found.when)
