"""Crops and photos of the same faces, found out from names, boxes and labels."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.demo.dataset import DemoSize, SplitSize, write_demo
from orchestrator.statistics.joining import Box, FaceRows, Join, join_faces

LABELS = ("happy", "sad", "angry")


def photos(n: int, folder: str = "data_raw/photos", boxes: bool = True) -> FaceRows:
    """Numbered photos; every box is another one."""
    found = [(10.0 + i, 20.0, 110.0 + i, 120.5) for i in range(n)] if boxes else None
    return FaceRows([f"{folder}/{i:05}.jpg" for i in range(n)], [LABELS[i % 3] for i in range(n)], found)


def taken(rows: FaceRows, order: list[int], paths: list[str] | None = None, boxes: bool = True) -> FaceRows:
    """Some of the rows in another order, perhaps with other paths."""
    kept: list[Box] | None = [rows.boxes[i] for i in order] if rows.boxes and boxes else None
    return FaceRows(paths or [rows.paths[i] for i in order], [rows.labels[i] for i in order], kept)


def crops(rows: FaceRows, **changes: object) -> FaceRows:
    named = FaceRows([path.replace("data_raw/photos", "crops_160") for path in rows.paths], rows.labels, rows.boxes)
    return replace(named, **changes)  # type: ignore[arg-type]


def partners(join: Join) -> dict[int, int]:
    return dict(zip(join.left.tolist(), join.right.tolist(), strict=True))


ORDERS = st.integers(1, 30).flatmap(lambda n: st.permutations(range(n)))


@given(ORDERS, st.booleans(), st.booleans())
def test_rows_are_joined_by_name_in_any_order_with_or_without_boxes(order: list[int], one: bool, other: bool) -> None:
    left = photos(len(order), boxes=one)
    found = join_faces(left, taken(crops(photos(len(order), boxes=other)), order))
    assert partners(found) == {row: place for place, row in enumerate(order)}
    assert found.complete
    assert found.statement() == f"All {len(order)} photos were joined with their crops."


@given(ORDERS)
def test_rows_are_joined_by_box_where_names_have_nothing_in_common(order: list[int]) -> None:
    left = photos(len(order))
    found = join_faces(left, taken(left, order, [f"crops/face{i}_0.png" for i in range(len(order))]))
    assert partners(found) == {row: place for place, row in enumerate(order)}


def test_crops_with_numbers_of_their_own_are_joined_by_box() -> None:
    left, order = photos(30), np.random.default_rng(0).permutation(30).tolist()
    found = join_faces(left, taken(left, order, left.paths[:30]))  # type: ignore[arg-type]
    assert partners(found) == {row: place for place, row in enumerate(order)}


def test_boxes_count_where_numbers_of_their_own_keep_the_order_of_the_classes() -> None:
    """Names and labels agree, and yet most names stand for another face; two boxes are alike, so names join more."""
    labels = ["happy"] * 20 + ["sad"] * 20
    boxes = [(float(max(i, 1)), 0.0, 50.0, 50.0) for i in range(40)]
    left = FaceRows([f"photos/{i}.jpg" for i in range(40)], labels, boxes)
    order = [*range(19, -1, -1), *range(39, 19, -1)]
    right = FaceRows([f"crops/{i}.jpg" for i in range(40)], labels, [boxes[i] for i in order])
    assert partners(join_faces(left, right)) == {row: order.index(row) for row in range(2, 40)}


def test_boxes_with_a_margin_do_not_keep_names_from_joining() -> None:
    left = photos(30)
    wider = [(a - 9, b - 9, c + 9, d + 9) for a, b, c, d in left.boxes or ()]
    assert join_faces(left, crops(left, boxes=wider)).complete


def test_a_single_box_that_is_alike_by_chance_does_not_speak_against_the_names() -> None:
    left = photos(30)
    assert left.boxes
    wider = [(a - 9, b - 9, c + 9, d + 9) for a, b, c, d in left.boxes]
    wider[3] = left.boxes[6]  # both are happy
    assert join_faces(left, crops(left, boxes=wider)).complete


def test_without_boxes_numbers_of_their_own_join_nothing() -> None:
    left, order = photos(30, boxes=False), np.random.default_rng(0).permutation(30).tolist()
    found = join_faces(left, taken(left, order, list(left.paths)))
    assert found.joined == 0
    assert (found.other_label > 10, found.ambiguous) == (True, 0)
    assert "0 of 30 photos were joined" in found.statement()


@given(ORDERS.filter(lambda order: len(order) > 3), st.integers(1, 3))
def test_rows_that_one_side_lacks_are_counted(order: list[int], lost: int) -> None:
    left = photos(len(order))
    found = join_faces(left, taken(crops(left), order[lost:]))
    assert partners(found) == {row: place for place, row in enumerate(order[lost:])}
    n = len(order)
    assert found.statement() == (
        f"{n - lost} of {n} photos were joined with one of {n - lost} crops; not joined: "
        f"{lost} without a certain partner."
    )


@given(ORDERS)
def test_left_and_right_can_be_exchanged(order: list[int]) -> None:
    left = photos(len(order))
    right = taken(crops(left), order[: len(order) * 2 // 3 + 1])
    ahead, back = partners(join_faces(left, right)), partners(join_faces(right, left))
    assert back == {other: row for row, other in ahead.items()}


def test_one_file_name_in_folders_of_both_is_joined_by_one_folder_or_two() -> None:
    photos = ["photos/kim/day1/1.jpg", "photos/lee/day1/1.jpg", "photos/lee/day2/1.jpg", "photos/lee/day3/1.jpg"]
    crops = ["crops/lee/day1/1.png", "crops/lee/day2/1.png", "crops/kim/day1/1.png", "160/day3/1.png"]
    found = join_faces(FaceRows(photos, ["sad"] * 4), FaceRows(crops, ["sad"] * 4))
    assert partners(found) == {0: 2, 1: 0, 2: 1, 3: 3}


def test_two_faces_in_a_photo_are_told_apart_by_label_or_box() -> None:
    boxes = [(0.0, 0.0, 9.0, 9.0), (50.0, 0.0, 59.0, 9.0), (0.0, 0.0, 9.0, 9.0)]
    left = FaceRows(["p/a.jpg", "p/a.jpg", "p/b.jpg"], ["happy", "happy", "sad"], boxes)
    right = FaceRows(["c/b.jpg", "c/a.jpg", "c/a.jpg"], ["sad", "happy", "happy"], [boxes[2], boxes[1], boxes[0]])
    assert partners(join_faces(left, right)) == {0: 2, 1: 1, 2: 0}
    without = join_faces(FaceRows(left.paths, left.labels), FaceRows(right.paths, right.labels))
    assert (partners(without), without.ambiguous) == ({2: 0}, 2)
    assert (
        without.statement()
        == "1 of 3 photos were joined with one of 3 crops; not joined: 2 with several possible partners."
    )
    other = ["happy", "angry", "sad"]
    by_label = join_faces(FaceRows(left.paths, other), FaceRows(right.paths, ["sad", "angry", "happy"]))
    assert partners(by_label) == {0: 2, 1: 1, 2: 0}


def test_faces_at_the_same_places_of_two_photos_are_told_apart_by_name_and_box() -> None:
    boxes = [(0.0, 0.0, 9.0, 9.0), (50.0, 0.0, 59.0, 9.0)] * 2
    left = FaceRows(["p/a.jpg", "p/a.jpg", "p/b.jpg", "p/b.jpg"], ["happy"] * 4, boxes)
    right = FaceRows(["c/b.jpg", "c/a.jpg", "c/b.jpg", "c/a.jpg"], ["happy"] * 4, [boxes[i] for i in (0, 0, 1, 1)])
    assert partners(join_faces(left, right)) == {0: 1, 1: 3, 2: 0, 3: 2}


def test_two_rows_of_one_face_are_not_joined_with_a_single_one() -> None:
    two, one = FaceRows(["p/a.jpg", "p/a.jpg"], ["happy"] * 2), FaceRows(["c/a.jpg"], ["happy"])
    assert (join_faces(two, one).joined, join_faces(two, one).ambiguous) == (0, 2)
    assert (join_faces(one, two).joined, join_faces(one, two).ambiguous) == (0, 1)


def test_a_row_that_has_a_partner_by_its_folder_keeps_it() -> None:
    """Row 0 has the box of another folder's crop of the same name."""
    people = [f"person{i}" for i in range(30)]
    boxes = [(float(i), 0.0, 90.0, 90.0) for i in range(60)]
    left = FaceRows([f"photos/{name}/1.jpg" for name in people], ["sad"] * 30, boxes[:30])
    right = FaceRows([f"crops/{name}/1.jpg" for name in people], ["sad"] * 30, [*boxes[30:59], boxes[0]])
    assert partners(join_faces(left, right)) == {row: row for row in range(30)}


def test_a_row_with_another_label_is_not_joined() -> None:
    left = photos(20)
    found = join_faces(left, crops(left, labels=["angry", *left.labels[1:]], boxes=None))
    assert (found.joined, found.other_label, found.ambiguous) == (19, 1, 0)
    assert found.statement().endswith("not joined: 1 with another label there.")


def test_names_that_macos_decomposed_and_windows_paths_are_the_same() -> None:
    left = FaceRows(["사진\\기쁨\\가.jpg"], ["기쁨"])
    right = FaceRows(["crops/\u1100\u1175\u1108\u1173\u11b7/\u1100\u1161.png"], ["\u1100\u1175\u1108\u1173\u11b7"])
    assert join_faces(left, right).complete


def test_a_name_may_have_dots_and_no_ending() -> None:
    left = FaceRows(["p/2020.01.02.jpg", "p/2020.01.03.jpg", "p/plain"], ["sad"] * 3)
    right = FaceRows(["c/2020.01.03.png", "c/plain", "c/2020.01.02.png"], ["sad"] * 3)
    assert partners(join_faces(left, right)) == {0: 2, 1: 0, 2: 1}


def test_nothing_is_joined_with_nothing() -> None:
    nothing = FaceRows([], [])
    assert join_faces(nothing, nothing).joined == 0
    found = join_faces(photos(3), nothing)
    assert (found.joined, found.complete) == (0, False)


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="the columns have 1 and 2 rows"):
        FaceRows(["a", "b"], ["sad"])
    with pytest.raises(ValueError, match="the columns have 1 and 2 rows"):
        FaceRows(["a", "b"], ["sad", "sad"], [(0, 0, 1, 1)])


def split_of(root: Path, folder: str, split: str) -> FaceRows:
    with (root / "data_shared" / folder / f"test_{split}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    boxes = [(float(row["minX"]), float(row["minY"]), float(row["maxX"]), float(row["maxY"])) for row in rows]
    return FaceRows([row["path"] for row in rows], [row["label_en"] for row in rows], boxes)


def test_the_demos_crops_and_photos_are_joined_and_those_of_the_other_split_are_not(tmp_path: Path) -> None:
    size = SplitSize(1, 1, 18)
    write_demo(tmp_path / "demo", size=DemoSize(size, size, SplitSize(1, 1, 1)), workers=1)
    sides = {
        split: (
            split_of(tmp_path / "demo", "splits_csv", split),
            split_of(tmp_path / "demo", "cropped_faces_csv", split),
        )
        for split in ("M1", "M2")
    }
    for left, right in sides.values():
        found = join_faces(left, right)
        assert found.complete
        assert partners(found) == {row: row for row in range(18)}
    other = join_faces(sides["M1"][0], sides["M2"][1])
    assert (other.joined, other.left_rows) == (0, 18)
