"""What `eibert verify` says of the trail and of signatures."""

import shutil
from pathlib import Path

import pytest

from flows.verify_trail import check_papers, check_promotion, check_signature, check_trail
from flows.workspace import Workspace


@pytest.fixture
def place(signed: Path) -> Workspace:
    return Workspace(signed / "w", signed)


def found(place: Workspace) -> list[str]:
    """Each finding's problem, of trail and papers together."""
    return [finding.problem for check in (check_trail, check_papers) for finding in check(place)]


def test_a_recorded_and_signed_bundle_is_sound(place: Workspace) -> None:
    assert found(place) == []
    assert list(check_signature(place.folder / "data" / "export" / "bundle")) == []


def test_an_edited_record_is_told_once_with_its_line(place: Workspace) -> None:
    path = place.root / "trail" / "records.jsonl"
    path.write_text(path.read_text().replace('"name"', '"nome"', 1))
    [finding] = check_trail(place)
    assert finding.place == f"{path}:1"
    assert "altered" in finding.problem
    assert "git checkout" in finding.remedy


def test_a_removed_record_is_told(place: Workspace) -> None:
    (place.root / "trail" / "records.jsonl").write_text("")
    [finding] = check_trail(place)
    assert "not complete there" in finding.problem


@pytest.mark.parametrize("name", ["export/bundle/vocab.txt", "provenance/bundle.sig", "provenance/bom.cdx.json"])
def test_an_altered_file_is_told_beside_and_inside_the_workspace(name: str, place: Workspace) -> None:
    path = place.folder / "data" / name
    path.write_bytes(path.read_bytes() + b" ")
    assert len(found(place)) >= 1
    assert len(list(check_signature(place.folder / "data" / "export" / "bundle"))) >= 1


def test_a_bundle_without_papers_is_covered_by_the_trail_alone(place: Workspace) -> None:
    shutil.rmtree(place.folder / "data" / "provenance")
    assert found(place) == []
    vocabulary = place.folder / "data" / "export" / "bundle" / "vocab.txt"
    vocabulary.write_text(vocabulary.read_text() + "more\n")
    assert found(place) == ["neither signed nor in the trail"]


def test_papers_of_an_unknown_key_are_not_believed(place: Workspace) -> None:
    for key in (place.root / "trail" / "keys").iterdir():
        key.unlink()
    problems = found(place)
    assert len(problems) == 2
    assert all("signed with a key that is not there" in problem for problem in problems)


def test_papers_far_from_any_repository_are_not_believed(place: Workspace, tmp_path: Path) -> None:
    away = tmp_path / "away"
    shutil.copytree(place.folder / "data" / "export" / "bundle", away / "bundle")
    shutil.copytree(place.folder / "data" / "provenance", away / "provenance")
    [finding] = check_signature(away / "bundle")
    assert "no repository around it" in finding.problem


def test_a_promotion_that_was_cut_off_is_told(place: Workspace) -> None:
    assert list(check_promotion(place)) == []
    (place.private() / "promotion.json").write_text("{}")
    [finding] = check_promotion(place)
    assert finding.problem == "a promotion was cut off"
    assert finding.place.endswith(".eibert/promotion.json")


def test_a_bundle_alone_has_no_signature_to_check(place: Workspace, tmp_path: Path) -> None:
    shutil.copytree(place.folder / "data" / "export" / "bundle", tmp_path / "bundle")
    assert list(check_signature(tmp_path / "bundle")) == []
