"""Secrets are redacted, ordinary words are not."""

import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eibert.errors import RunError
from eibert.redact import identity, redacted, shown
from tests.canaries import FORMS, VARIABLES

LETTERS_AND_DIGITS = string.ascii_letters + string.digits
BASE64 = LETTERS_AND_DIGITS + "-_"
WORDS = st.from_regex(r"([A-Z]?[a-z]{1,20}|[A-Z]{1,8})[0-9]{0,2}|[0-9]{2}[a-z]?", fullmatch=True)


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
        "models/hf_banking77_intents",
        "models/sk-news-topics-2024",
        "models/npm_support_tickets",
        "../../sources/ghs_support_tickets-de/train.csv",
        "models/dapi_requests_20240131 and models/pypi-b2b-topics",
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


@pytest.mark.parametrize("prefix", ["hf_", "sk-", "npm_", "ghp_", "dapi", "pypi-"])
@settings(deadline=None)
@given(words=st.lists(WORDS, min_size=2, max_size=4), separators=st.text("_-", min_size=4, max_size=4))
def test_words_joined_after_a_prefix_are_a_name(prefix: str, words: list[str], separators: str) -> None:
    name = prefix + "".join(word + separator for word, separator in zip(words, separators, strict=False))
    assert redacted(f"models/{name}/data") == f"models/{name}/data"
    assert identity(f"models/{name}") == f"models/{name}"


@pytest.mark.parametrize(
    ("prefix", "alphabet", "length"),
    [
        ("hf_", LETTERS_AND_DIGITS, 34),
        ("npm_", LETTERS_AND_DIGITS, 36),
        ("ghp_", LETTERS_AND_DIGITS, 36),
        ("sk-", LETTERS_AND_DIGITS, 48),
        ("sk-or-v1-", string.hexdigits[:16], 64),
        ("dapi", string.hexdigits[:16], 32),
        ("glpat-", BASE64, 20),
        ("dckr_pat_", BASE64, 27),
        ("github_pat_", LETTERS_AND_DIGITS + "_", 82),
        ("xoxb-", BASE64, 50),
    ],
)
@settings(deadline=None)
@given(data=st.data())
def test_all_that_has_the_length_of_a_token_is_one(
    prefix: str, alphabet: str, length: int, data: st.DataObject
) -> None:
    token = prefix + data.draw(st.text(alphabet, min_size=length, max_size=length))
    for text in (f"got {token} back", f"got models/{token} back", f"got 密钥{token} back", f"got x_{token} back"):
        assert token not in redacted(text)
        assert redacted(text).endswith("*** back")


@pytest.mark.parametrize("prefix", ["sk-proj-", "sk-ant-api03-", "pypi-AgEIcHlwaS5vcmc", "sk-lf-"])
@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_random_token_with_separators_is_one(prefix: str, seed: int) -> None:
    draw = random.Random(seed)
    if prefix == "sk-lf-":
        parts = ["".join(draw.choices(string.hexdigits[:16], k=length)) for length in (8, 4, 4, 4, 12)]
    else:
        parts = ["".join(draw.choices(BASE64, k=80))]
    assert redacted(f"got {prefix}{'-'.join(parts)}") == "got ***"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("models/hf_canary21ABCDEFGHIJ", "models/***"),
        ("models/of-canary06-plain", "models/of-***"),
        ("models/password=canary30canary30", "models/password=***"),
    ],
)
def test_name_that_would_be_redacted_identifies_nothing(name: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in VARIABLES.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(RunError) as caught:
        identity(name)
    assert str(caught.value).startswith(f"{told}: this name contains what looks like a token")
    assert "canary" not in str(caught.value)
