"""Promotions in the trail are those of their own workspace, whatever it is called."""

from pathlib import Path
from typing import Any

import pytest

from eibert import trail
from eibert.errors import RunError
from tasks import promotions

NAMES = ("models/hf_banking77_intents", "models/hf_banking77_topics", "models/sk-news-topics-2024")


def body(root: Path, name: str) -> dict[str, Any]:
    return {"id": f"of {name}", "event": promotions.PROMOTED, "folder": promotions.place(root, root / name)}


def test_each_workspace_has_its_own(signed: Path) -> None:
    made = {name: promotions.enter(signed, body(signed, name)) for name in NAMES}
    assert [record.body["folder"] for record in made.values()] == list(NAMES)
    for name, record in made.items():
        assert promotions.promotions(promotions.read(signed), promotions.place(signed, signed / name)) == [record]
        assert promotions.enter(signed, body(signed, name)) == record
    assert len(promotions.read(signed)) == 1 + len(NAMES)


def test_folder_that_became_a_secret_meanwhile_is_not_entered(signed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = promotions.read(signed)
    wanted = body(signed, "models/canary04-plain")
    monkeypatch.setenv("GITHUB_TOKEN", "canary04-plain")
    with pytest.raises(RunError, match=r"^models/\*\*\*: this name contains"):
        promotions.enter(signed, wanted)
    with pytest.raises(RunError, match=r"^models/\*\*\*: this name contains"):
        promotions.place(signed, signed / "models/canary04-plain")
    assert promotions.read(signed) == before
    assert "canary" not in (signed / "trail" / trail.RECORDS).read_text()
