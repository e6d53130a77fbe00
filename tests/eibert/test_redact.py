"""Secrets are redacted, ordinary words are not."""

import pytest

from eibert.redact import redacted, shown
from tests.canaries import FORMS, VARIABLES


@pytest.mark.parametrize("text", FORMS)
def test_secret_is_known_by_its_form(text: str) -> None:
    found = redacted(f"before {text} after")
    assert "canary" not in found.lower()
    assert found.startswith("before ")
    assert "canary" not in str(redacted({"a": [text, {text: 1}]})).lower()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://me:se@cret@host:5000/a did not", "http://***@host:5000/a did not"),
        ("postgresql://me:secret@host/db", "postgresql://***@host/db"),
        ("http://host/a@b", "http://host/a@b"),
        ("sqlite:////folder/a@b.db", "sqlite:////folder/a@b.db"),
    ],
)
def test_users_and_passwords_of_addresses_are_blotted_out(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize("name", VARIABLES)
def test_secret_variable_is_known_by_its_name(name: str) -> None:
    text = f"it said {VARIABLES[name]}!"
    assert redacted(text) == text
    assert redacted(text, VARIABLES) == "it said ***!"


@pytest.mark.parametrize(
    "text",
    [
        "params distill.max_tokens 64 → 32",
        "special tokens [CLS], [SEP] are not in it; export the bundle again",
        "pretrain.inherit_tokens: 16000",
        "teacher.model: hf:owner/name@abc123 is not available",
        "../data/train.csv:12: unknown label `key`; expected one of call, play",
        "https://example.org/path?page=2",
        "hidden_weight=1.0, token_weight=1.0",
        "sha256 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "/home/someone/data/sk-learn/rows.csv",
        "bundle.sig: altered, or signed with a key other than trail/keys/0a1b.pem",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert (
        redacted(text, {"PATH": "/usr/bin", "SHORT_KEY": "play", "SOME_KEY_FILE": "/home/someone", "PWD": "/x"}) == text
    )


def test_other_values_come_back_as_they_are() -> None:
    assert redacted({"a": [1, 2.5, None, True], "b": ("x",)}) == {"a": [1, 2.5, None, True], "b": ["x"]}


def test_longer_secret_goes_before_its_part() -> None:
    environment = {"A_TOKEN": "secretpart", "B_TOKEN": "secretpart-and-more"}
    assert redacted("x secretpart-and-more y", environment) == "x *** y"


def test_password_of_an_address_in_a_variable_is_a_secret() -> None:
    assert (
        redacted("login with pa55word%21 failed", {"STORE": "https://me:pa55word%21@host/x"}) == "login with *** failed"
    )
