"""The built-in sample: counts, disjoint splits, and intents that words alone do not determine."""

import re
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from eibert.sample import Sample, generate
from eibert.sample.grammar import fill, lines, mistype, values
from eibert.sample.intents import INTENTS
from eibert.sample.slots import SLOTS
from eibert.sample.wordings import CORRECTIONS, GERUNDS, WIDER, WRAPPERS


@pytest.fixture(scope="module")
def generated() -> Sample:
    return generate(17)


def _bare(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


def test_parts_have_the_promised_sizes(generated: Sample) -> None:
    sizes = [len(part) for part in (generated.train, generated.dev, generated.test, generated.unlabelled)]
    assert sizes == [6000, 1000, 1000, 20000]


def test_every_split_has_every_intent_and_there_are_twenty_or_more(generated: Sample) -> None:
    for split in (generated.train, generated.dev, generated.test):
        counts = Counter(label for _, label in split)
        assert counts.keys() == INTENTS.keys()
        assert max(counts.values()) - min(counts.values()) <= 1
    assert len(INTENTS) >= 20


def test_no_text_stands_twice_whatever_its_case_and_punctuation(generated: Sample) -> None:
    labelled = [text for split in (generated.train, generated.dev, generated.test) for text, _ in split]
    counts = Counter(map(_bare, [*labelled, *generated.unlabelled]))
    assert counts.most_common(1)[0][1] == 1


def test_equal_seeds_give_equal_samples_and_others_do_not(generated: Sample) -> None:
    assert generate(17) == generated
    assert generate(18).train != generated.train


def test_held_out_wordings_and_values_are_in_test_but_not_in_train(generated: Sample) -> None:
    phrases = (
        "be so kind as to",
        "second thought",
        "ingrid",
        "conservatory",
        "chickpeas",
        "bossa nova",
        "forints",
        "bergen",
    )
    held_out = [text.lower() for text, _ in [*generated.dev, *generated.test]]
    assert not [phrase for phrase in phrases if any(phrase in text.lower() for text, _ in generated.train)]
    assert sum(any(phrase in text for text in held_out) for phrase in phrases) >= len(phrases) - 2


def test_texts_are_clean_single_lines(generated: Sample) -> None:
    for text in [*(text for text, _ in generated.train), *generated.unlabelled]:
        assert text == " ".join(text.split())
        assert text.isascii()
        assert not set(text) & set("{}[]|*")


def test_unlabelled_text_knows_many_more_words_than_the_requests(generated: Sample) -> None:
    requests = {word for text, _ in generated.train for word in _bare(text).split()}
    wider = Counter(word for text in generated.unlabelled for word in _bare(text).split())
    assert len({word for word, count in wider.items() if count >= 5} - requests) > 1200


def test_order_of_words_decides_between_intents() -> None:
    swaps = [
        ("savings_deposit", "savings_withdraw"), ("calendar_to_work", "calendar_to_private"),
        ("meeting_later", "meeting_earlier"), ("route_to_work", "route_home"),
        ("translate_to_english", "translate_from_english"), ("currency_buy", "currency_sell"),
    ]  # fmt: skip
    for one, other in swaps:
        bags = [
            {tuple(sorted(re.findall(r"\w+", line))) for block in INTENTS[intent] for line in lines(block).seen}
            for intent in (one, other)
        ]
        assert bags[0] & bags[1], (one, other)


def test_words_and_word_pairs_do_not_tell_the_intent(generated: Sample) -> None:
    texts, intents = zip(*generated.train, strict=True)
    words = TfidfVectorizer(ngram_range=(1, 2))
    model = LogisticRegression(max_iter=200).fit(words.fit_transform(texts), intents)
    test_texts, test_intents = zip(*generated.test, strict=True)
    accuracy = model.score(words.transform(test_texts), test_intents)
    assert 0.7 < accuracy < 0.85


def test_every_command_has_its_gerund() -> None:
    for intent, block in INTENTS.items():
        pool = lines(block.closed)
        for line in (*pool.seen, *pool.unseen):
            for verb in line.split()[0].strip("[]").split("|"):
                assert verb in GERUNDS, (intent, line)


def test_every_slot_named_in_a_line_has_values() -> None:
    loose = {"thing", "adjective", "place_name", "do", "drop", "doing", "dropping"}
    text = "\n".join([*(line for block in INTENTS.values() for line in block), WRAPPERS, CORRECTIONS, WIDER])
    assert set(re.findall(r"{(\w+)}", text)) <= SLOTS.keys() | loose


def test_block_of_lines_is_parted_at_the_star() -> None:
    pool = lines("\n  one\n  * two\n\n  three {x}\n")
    assert (pool.seen, pool.unseen) == (("one", "three {x}"), ("two",))


def test_unseen_values_are_drawn_only_where_asked_for() -> None:
    slots = {"x": values("a; b // c")}
    assert {fill("{x}", slots, Random(seed), 0.0) for seed in range(50)} == {"a", "b"}
    assert {fill("{x}", slots, Random(seed), 1.0) for seed in range(50)} == {"c"}


def test_one_line_never_takes_a_value_twice() -> None:
    slots = {"x": values("a; b; c")}
    for seed in range(50):
        first, second = fill("{x} {x}", slots, Random(seed), 0.0).split()
        assert first != second


@given(st.text("abcdefghij ", max_size=60), st.integers(0, 1000))
def test_a_slip_changes_one_place_and_keeps_the_ends_of_words(text: str, seed: int) -> None:
    mistyped = mistype(text, Random(seed), frozenset())
    assert abs(len(mistyped) - len(text)) <= 1
    before, after = text.split(" "), mistyped.split(" ")
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) <= 1
    for old, new in changed:
        assert (old[0], old[-1]) == (new[0], new[-1])


def test_protected_words_are_never_mistyped() -> None:
    assert mistype("unlock", Random(0), frozenset({"unlock"})) == "unlock"


def test_article_and_comma_fit_what_was_filled_in() -> None:
    slots = {"y": values("english")}
    assert fill("a {y} text[|], please", slots, Random(0), 0.0) == "an english text, please"
    assert fill("a poem [], and a {y} one", slots, Random(0), 0.0) == "a poem, and an english one"
