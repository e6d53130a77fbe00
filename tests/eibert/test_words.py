"""Word alignment of two tokenizers, against hand-made positions and a loop."""

import numpy as np
import pytest
import torch

from eibert.batches import encode
from eibert.prune import slice_student
from eibert.runtime.tokenizer import wordpiece
from eibert.student import Student
from eibert.teacher import Teacher
from eibert.token_targets import TokenTargets
from eibert.words import WordTargets, shared, word_means, word_places

TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "play", "songs", "now", "s", "##o", "##n", "##g", "##s", "n", "##w")


def places(tokens: tuple[str, ...], text: str, text_b: str | None = None, *, max_tokens: int = 32) -> list[int]:
    tokenizer = wordpiece(tokens, lowercase=True, strip_accents=None, max_tokens=32)
    found = word_places(tokenizer, [text], None if text_b is None else [text_b], max_tokens=max_tokens)
    return [int(place) for place in found[0]]


def test_pieces_of_a_word_share_its_place() -> None:
    assert places(TOKENS, "Play songs now") == [-1, 0, 1, 2, -1]
    whole_words_gone = tuple(token for token in TOKENS if token not in {"songs", "now"})
    assert places(whole_words_gone, "Play songs now") == [-1, 0, 1, 1, 1, 1, 1, 2, 2, 2, -1]


def test_the_texts_of_a_pair_have_their_own_places() -> None:
    found = places(TOKENS, "play now", "now")
    assert found[:4] == [-1, 0, 1, -1]
    assert found[4] not in {-1, 0, 1}
    assert found[5] == -1


def test_special_tokens_in_a_text_are_words_of_it(teacher: Teacher, student: Student) -> None:
    text = "play [MASK] the song [SEP] now"
    for model in (teacher, student):
        ids = encode(model.tokenizer, [text], None, max_tokens=32).ids[0]
        assert [int((ids == model.tokenizer.token_to_id(token)).sum()) for token in ("[MASK]", "[SEP]")] == [0, 1]
    found = [word_places(model.tokenizer, [text], None, max_tokens=32)[0].tolist() for model in (teacher, student)]
    assert max(found[0]) == max(found[1]) == 9  # play [ mask ] the song [ sep ] now


def test_words_that_one_side_has_not_do_not_count() -> None:
    teacher = [np.array([-1, 0, 1, 2, -1], np.int32)]
    student = [np.array([-1, 0, 0, 2, 2, 2, -1], np.int32)]  # the student has no word 1
    ours, theirs = shared(teacher, student)
    assert ours[0].tolist() == [-1, 0, -1, 1, -1]
    assert theirs[0].tolist() == [-1, 0, 0, 1, 1, 1, -1]


def test_a_cut_row_is_compared_as_far_as_both_go() -> None:
    whole = [np.array(places(TOKENS, "play songs now"), np.int32)]
    cut = [np.array(places(TOKENS, "play songs now", max_tokens=4), np.int32)]
    ours, theirs = shared(whole, cut)
    assert ours[0].tolist() == [-1, 0, 1, -1, -1]
    assert theirs[0].tolist() == [-1, 0, 1, -1]


def test_word_means_are_those_of_a_loop() -> None:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(3, 5, 4, generator=generator)
    at = torch.tensor([[-1, 0, 0, 1, -1], [0, 1, 2, 2, 2], [-1, -1, -1, -1, -1]])
    found = word_means(tokens, at, 3)
    for row in range(3):
        for word in range(3):
            chosen = tokens[row][at[row] == word]
            expected = chosen.mean(dim=0) if len(chosen) else torch.zeros(4)
            assert torch.allclose(found[row, word], expected, atol=1e-6)


@pytest.fixture
def targets(teacher: Teacher) -> TokenTargets:
    rows = encode(teacher.tokenizer, ["play the song", "stop now"], None, max_tokens=16)
    return TokenTargets.read(teacher, rows, batch_size=2, precision="fp32", outputs=None, fewer="")  # type: ignore[arg-type]


def test_targets_are_the_teachers_own_tokens(teacher: Teacher, targets: TokenTargets) -> None:
    batch = targets.rows.batch(np.array([1, 0]))
    with torch.no_grad():
        tokens, pooled = teacher(batch)
    found, sentences = targets.of(np.array([1, 0]), batch.mask)
    assert torch.allclose(found, tokens * batch.mask.unsqueeze(-1), atol=2e-3)
    assert torch.allclose(sentences, pooled, atol=2e-3)
    assert torch.allclose(targets.sentences()[[1, 0]].float(), pooled, atol=2e-3)


def test_the_distance_is_that_of_tokens_where_nothing_was_pruned(
    student: Student, teacher: Teacher, targets: TokenTargets
) -> None:
    texts = ["play the song", "stop now"]
    at = word_places(student.tokenizer, texts, None, max_tokens=16)
    words = WordTargets(targets, *shared(word_places(teacher.tokenizer, texts, None, max_tokens=16), at))
    rows = encode(student.tokenizer, texts, None, max_tokens=16)
    guide, _ = targets.of(np.array([0, 1]), targets.rows.batch([0, 1]).mask)
    with torch.no_grad():
        hidden, _ = student(rows.batch([0, 1]))
        found = words.distance(student, hidden, np.array([0, 1]))
        differences = [
            (student.project(hidden[row, token]) - guide[row, token]).square().mean()
            for row in range(2)
            for token in range(len(at[row]))
            if at[row][token] >= 0
        ]
    assert float(found) == pytest.approx(float(torch.stack(differences).mean()) / targets.token_scale, rel=1e-4)


def test_a_pruned_student_is_compared_word_by_word(student: Student, teacher: Teacher, targets: TokenTargets) -> None:
    texts = ["play the song", "stop now"]
    kept = np.array([place for place, token in enumerate(student.tokens) if token != "song"])
    pruned = slice_student(student, kept)
    at = word_places(pruned.tokenizer, texts, None, max_tokens=16)
    words = WordTargets(targets, *shared(word_places(teacher.tokenizer, texts, None, max_tokens=16), at))
    hidden, _ = pruned(encode(pruned.tokenizer, texts, None, max_tokens=16).batch([0, 1]))
    assert len(at[0]) > len(targets.rows.ids[0])
    assert max(words.student[0]) == max(words.teacher[0]) == 2
    distance = words.distance(pruned, hidden, np.array([0, 1]))
    distance.backward()  # type: ignore[no-untyped-call]
    assert float(distance.detach()) > 0
    assert pruned.table.weight.grad is not None
