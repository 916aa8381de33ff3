"""Which label of a split means which of face-api's classes."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path

import pytest
from label_names import ALIASES
from projects import Listed

from faceapi.contract.labels import check_label_options, class_names, label_problems, labelled
from faceapi.contract.settings import FaceApiSettings
from trainable.base.errors import ConfigError
from trainable.data.tables import Row


def table(*labels: str) -> Listed:
    """Rows with these labels, whose photo is never read."""
    here = Path(__file__)
    rows = [Row(line, here.name, here, label, (0, 0, 1, 1)) for line, label in enumerate(labels, 2)]
    return Listed(rows)


def classes(labels: Mapping[str, str], *names: str) -> list[str]:
    split, settings = table(*names), FaceApiSettings(labels=labels)
    assert label_problems(split, settings) == []
    return [row.label for row in labelled(split, settings)]


@pytest.mark.parametrize(("label", "target"), ALIASES.items())
def test_other_names_for_the_classes(label: str, target: str) -> None:
    assert classes({}, label, f" {label.upper()} ", unicodedata.normalize("NFD", label)) == [target] * 3


def test_the_classes_mean_themselves() -> None:
    assert classes({}, *class_names()) == list(class_names())


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_the_users_names_are_compared_in_nfc_and_win(form: str) -> None:
    user = {
        unicodedata.normalize(form, "짜증"): "angry",
        unicodedata.normalize(form, "당황"): "fearful",
        "Bored": "sad",
    }
    labels = ("짜증", unicodedata.normalize("NFD", "짜증"), "당황", "bored", "기쁨")
    assert classes(user, *labels) == ["angry", "angry", "fearful", "sad", "happy"]


def test_unknown_labels_are_problems_with_their_row() -> None:
    first, second = label_problems(table("happy", "bored", "sad", "shy"), FaceApiSettings())
    assert (first.row, second.row) == (3, 5)
    assert "label 'bored' is none of face-api's" in str(first)
    assert "--faceapi-label 'bored=CLASS'" in str(first)


def test_a_name_for_a_class_that_face_api_does_not_have() -> None:
    with pytest.raises(ConfigError, match="짜증=shy: face-api has the classes angry, disgusted, fearful"):
        check_label_options(FaceApiSettings(labels={"짜증": "shy"}))
