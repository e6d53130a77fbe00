"""Findings about the environment."""

import json
import socket
from pathlib import Path

import pytest

from eibert.errors import RunError
from flows import doctor
from flows.doctor import Finding, examine
from flows.workspace import Workspace
from tests.flows.conftest import command


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings}


def test_sound_environment_stops_nothing(unbuilt: Workspace) -> None:
    done = command("doctor", "--json", folder=unbuilt.folder)
    found = json.loads(done.stdout)
    assert done.returncode == 0, found
    assert found["ready"] is True
    named = {finding["what"] for finding in found["findings"]}
    assert {"python", "torch", "cores", "CUDA", "DVC repository", "teacher", "MLflow"} <= named


def test_folder_that_is_no_workspace_stops(tmp_path: Path) -> None:
    found = by_name(examine(tmp_path))
    assert found["DVC repository"].stops
    assert found["workspace"].stops


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nosuch: no such folder"):
        examine(tmp_path / "nosuch")


def test_missing_library_stops_and_another_version_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_LIBRARIES", ("numpy", "no-such-library"))
    monkeypatch.setattr(doctor, "_constraints", lambda _: {"numpy": "0.1"})
    found = by_name(list(doctor._libraries(Path())))
    assert found["no-such-library"].stops
    assert not found["numpy"].stops
    assert "tested with 0.1" in found["numpy"].remedy


def test_silent_record_is_told_and_stops_nothing(unbuilt: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{taken.getsockname()[1]}")
        [finding] = doctor._record(unbuilt.folder)
    assert "records wait" in finding.remedy
    assert not finding.stops
    assert finding.found.startswith("http://***@127.0.0.1:")
    assert "secret" not in repr(finding)


def test_health_is_asked_with_the_user_of_the_address() -> None:
    asked = doctor._health("http://me:s%40t@host:5000/base/")
    assert asked.full_url == "http://host:5000/base/health"
    assert asked.get_header("Authorization") == "Basic bWU6c0B0"  # base64 of me:s@t
