"""recall@k: right, wrong and equal captions."""

import numpy as np

from stages.pictures.retrieval import order, recall

EYE = np.eye(6, dtype=np.float32)
NAMES = list("abcdef")


def test_a_model_that_is_always_right() -> None:
    found = recall(EYE, EYE, NAMES)
    assert found["picture_to_text"] == found["text_to_picture"] == {"at_1": 1.0, "at_5": 1.0}


def test_a_model_that_says_the_same_of_all_finds_nothing() -> None:
    same = np.ones((6, 3), dtype=np.float32)
    assert recall(same, same, NAMES)["picture_to_text"] == {"at_1": 0.0, "at_5": 0.0}


def test_one_caption_taken_for_another() -> None:
    texts = EYE[[1, 0, 2, 3, 4, 5]] + EYE * 0.5
    found = recall(EYE, texts, NAMES)
    assert found["picture_to_text"] == {"at_1": round(4 / 6, 4), "at_5": 1.0}


def test_an_equal_caption_is_right() -> None:
    texts = EYE[[1, 0, 2, 3, 4, 5]]
    found = recall(EYE, texts, ["a", "a", "c", "d", "e", "f"])
    assert found["picture_to_text"]["at_1"] == 1.0
    assert (found["pairs"], found["captions"]) == (6, 5)


def test_recall_of_nothing_is_null() -> None:
    none = np.zeros((0, 4), dtype=np.float32)
    assert recall(none, none, [])["text_to_picture"] == {"at_1": None, "at_5": None}


def test_equal_similarities_keep_their_order() -> None:
    assert order(np.array([[1.0, 2.0, 2.0, 0.0]], dtype=np.float32)).tolist() == [[1, 2, 0, 3]]
