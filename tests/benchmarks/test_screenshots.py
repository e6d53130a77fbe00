"""Which pages are captured, and the message if one is missing; no browser."""

from pathlib import Path
from typing import Any

import pytest

from eibert.errors import EibertError
from flows.workspace import Workspace


def test_reports_are_those_of_the_workspace(benchmark: Any, tmp_path: Path) -> None:
    script = benchmark("screenshots")
    expected = {
        "report": tmp_path / "data" / "evaluate" / "report.html",
        "bench": tmp_path / ".eibert" / "bench" / "bench.html",
    }
    for path, command in zip(expected.values(), ("eibert run", "eibert bench -C"), strict=True):
        with pytest.raises(EibertError, match=f"{path.name}: missing; run `{command}"):
            dict(script.reports(Workspace(tmp_path, tmp_path)))
        path.parent.mkdir(parents=True)
        path.write_text("<p>done</p>")
    assert dict(script.reports(Workspace(tmp_path, tmp_path))) == expected
