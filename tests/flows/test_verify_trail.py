"""What `eibert verify` reports about the trail and signatures."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from eibert.errors import RunError
from flows.findings import Shipped
from flows.verify import verify
from flows.verify_trail import check_papers, check_promotion, check_signature, check_trail
from flows.workspace import Workspace
from tests import toy
from tests.flows.conftest import command


@pytest.fixture
def place(signed: Path) -> Workspace:
    return Workspace(signed / "w", signed)


def found(place: Workspace) -> list[str]:
    """The problems found in trail and papers together."""
    return [finding.problem for check in (check_trail, check_papers) for finding in check(place)]


def shipped(place: Workspace) -> Shipped:
    return Shipped(place.folder / "data" / "export" / "bundle", place.root, unsigned=False)


def test_a_recorded_and_signed_bundle_is_sound(place: Workspace) -> None:
    assert found(place) == []
    assert list(check_signature(shipped(place))) == []


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
    assert "incomplete there" in finding.problem


@pytest.mark.parametrize("name", ["export/bundle/vocab.txt", "provenance/bundle.sig", "provenance/bom.cdx.json"])
def test_an_altered_file_is_told_beside_and_inside_the_workspace(name: str, place: Workspace) -> None:
    path = place.folder / "data" / name
    path.write_bytes(path.read_bytes() + b" ")
    assert len(found(place)) >= 1
    assert len(list(check_signature(shipped(place)))) >= 1


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


def test_a_promotion_that_was_cut_off_is_told(place: Workspace) -> None:
    assert list(check_promotion(place)) == []
    (place.private() / "promotion.json").write_text("{}")
    [finding] = check_promotion(place)
    assert finding.problem == "a promotion was interrupted"
    assert finding.place.endswith(".eibert/promotion.json")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("toy") / "root"
    toy.build(toy.make_repository(root))
    return root


@pytest.fixture
def away(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a recorded bundle without papers; neither it nor the current folder is inside a repository."""
    shutil.copytree(made / toy.FOLDER / "data" / "export" / "bundle", tmp_path / "away" / "bundle")
    monkeypatch.chdir(tmp_path / "away")
    return tmp_path / "away" / "bundle"


def forge(bundle: Path) -> None:
    """Alters the graph and updates its digest in eibert.json."""
    (bundle / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes() + b" ")
    about = json.loads((bundle / "eibert.json").read_text())
    content = (bundle / "model.onnx").read_bytes()
    about["files"]["model.onnx"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (bundle / "eibert.json").write_text(json.dumps(about))


def test_a_bundle_alone_is_not_taken_for_sound(away: Path) -> None:
    [finding] = verify(away, everything=False).findings
    assert finding.problem.startswith("its signature cannot be checked: no repository is known")
    assert "--unsigned" in finding.remedy
    accepted = verify(away, everything=False, unsigned=True)
    assert accepted.sound
    assert [one.place for one in accepted.not_checked] == [str(away)]
    assert list(accepted.lines())[-1] == f"sound except for what was not checked: {away}"


def test_a_bundle_without_papers_is_looked_up_in_the_trail_that_is_named(away: Path, made: Path) -> None:
    found = verify(away, everything=False, trusted=made)
    assert list(found.lines()) == [f"sound: {away}, per the keys and trail of {made}"]
    forge(away)
    [finding] = verify(away, everything=False, trusted=made / toy.FOLDER).findings
    assert "not in any of the 1 records as a whole: vocab.txt belongs to record 1" in finding.problem


def test_a_bundle_without_papers_is_looked_up_in_the_trail_of_the_current_folder(
    away: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    assert verify(away, everything=False).sound
    forge(away)
    assert not verify(away, everything=False).sound


def test_a_folder_that_merely_has_the_name_holds_no_papers(away: Path, made: Path) -> None:
    (away.parent / "provenance").mkdir()
    (away.parent / "provenance" / "readme.txt").write_text("of something else")
    assert verify(away, everything=False, trusted=made).sound


def test_papers_are_held_against_the_keys_of_the_trail_that_is_named(away: Path, made: Path) -> None:
    shutil.copytree(made / toy.FOLDER / "data" / "provenance", away.parent / "provenance")
    [finding] = verify(away, everything=False).findings
    assert finding.problem.startswith("its signature cannot be checked")
    assert verify(away, everything=False, trusted=made).sound
    forge(away)
    problems = [finding.problem for finding in verify(away, everything=False, trusted=made, unsigned=True).findings]
    assert any(problem.startswith("does not match bundle.sig") for problem in problems)


def test_a_bundle_that_brings_its_own_repository_is_not_believed_against_the_one_named(
    away: Path, made: Path, place: Workspace
) -> None:
    for name in (".dvc", "trail"):
        shutil.copytree(made / name, away.parent / name)
    assert verify(away, everything=False).trusted == str(away.parent)
    assert not verify(away, everything=False, trusted=place.root).sound


def test_an_altered_trail_vouches_for_nothing(away: Path, made: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(made, tmp_path / "altered"))
    records = root / "trail" / "records.jsonl"
    records.write_text(records.read_text().replace('"name"', '"nome"', 1))
    [finding] = verify(away, everything=False, trusted=root, unsigned=True).findings
    assert "altered" in finding.problem


def test_what_is_about_a_bundle_is_refused_for_a_workspace(place: Workspace) -> None:
    for options in ({"unsigned": True}, {"trusted": place.root}):
        with pytest.raises(RunError, match="apply to bundles only"):
            verify(place.folder, everything=False, **options)


def test_command_takes_the_repository_to_trust(away: Path, made: Path) -> None:
    done = command("verify", "bundle", "-C", made, "--json", folder=away.parent)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trusted"] == str(made)
    assert command("verify", "bundle", "--unsigned", folder=away.parent).returncode == 0
