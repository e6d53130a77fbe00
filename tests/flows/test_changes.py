"""One line per difference."""

from flows.changes import code_changes, params_changes


def test_equal_parameters_give_no_lines() -> None:
    assert params_changes({"prune": {"keep": [1, 2]}}, {"prune": {"keep": (1, 2)}}) == []


def test_each_parameter_is_named_under_its_dotted_key() -> None:
    before = {"seed": 1, "prune": {"keep": 6000, "old": 1, "flag": True}}
    after = {"seed": 1, "prune": {"keep": 8000, "new": None, "flag": False}}
    assert params_changes(before, after) == [
        "params prune.keep 6000 → 8000",
        "params prune.new added",
        "params prune.flag true → false",
        "params prune.old removed",
    ]


def test_long_values_are_shortened() -> None:
    [line] = params_changes({"a": "x" * 100}, {"a": "y"})
    assert line == f"params a {'x' * 57}… → y"


def test_code_is_named_by_module_definition_file_and_library() -> None:
    before = {
        "modules": {"a.py": {"": "1", "f": "1"}, "old.py": {}},
        "data": {"a.j2": "1"},
        "libraries": {"torch": "2.12", "numpy": "2"},
    }
    after = {
        "modules": {"a.py": {"": "2", "f": "2", "g": "1"}, "new.py": {}},
        "data": {"a.j2": "2"},
        "libraries": {"torch": "2.13", "numpy": "2", "onnx": "1"},
    }
    assert code_changes(before, after) == [
        "code a.py", "code a.py:f", "code a.py:g", "code new.py added", "code old.py no longer used", "code a.j2",
        "library onnx unused → 1", "library torch 2.12 → 2.13",
    ]  # fmt: skip
