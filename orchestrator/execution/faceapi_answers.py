"""What FaceAPI finds on a photo is found once, whatever split, label or later command asks for it.

M1 and M2 may be two views of the same photos: then only their rows' labels differ, and no evaluator looks at those.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from faceapi.contract.labels import labelled
from faceapi.contract.results import RESULT_COLUMNS, ShardResult
from faceapi.contract.settings import FaceApiSettings
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.steps import FaceApiEvaluation
from trainable.base.files import read_json, write_json
from trainable.cache.hashes import MISSING, digest
from trainable.data.tables import ImageTable

VERSION = 1
"""A part of the folder's name. Increase it with every change that lets an evaluator answer otherwise."""
Question = str
"""A digest of a photo's SHA-256, the face's box, and whether it is one of the upright photo."""
_UNREADABLE = "unreadable: "


@dataclass(frozen=True, slots=True)
class Answer:
    """What an evaluator says of a row; texts are cells of RESULT_COLUMNS.

    Args:
        probabilities: see `ShardResult`.
        unreadable: why the photo cannot be read; "" where it can.
        seconds: the row's share of the time of those that were evaluated with it.
    """

    pred_label: str
    score: str
    face_detected: str
    iou: str
    probabilities: Sequence[float] | None
    unreadable: str
    seconds: float


def answers_folder(step: FaceApiEvaluation, paths: ProjectPaths) -> Path:
    """Where the answers of an identified evaluation's evaluator lie: labels, and so their other names, change none."""
    assert step.identity is not None
    config = {name: value for name, value in step.identity["config"].items() if name != "labels"}
    return paths.faceapi_answers / digest([VERSION, step.identity["weights"], config])[:16]


def questions_of(table: ImageTable) -> list[Question]:
    """What has to be found for each row; the table's photos are hashed. A photo that is not there is its path."""
    photos = zip(table.digests(MISSING), table.paths, strict=True)
    names = (f"{found}:{path}" if found == MISSING else found for found, path in photos)
    sides = (table.boxes[side::4] for side in range(4))
    rows = zip(names, *sides, map(bool, table.upright or bytes(len(table))), strict=True)
    return [digest(list(row))[:32] for row in rows]


class Answers:
    """The answers of an evaluator with its weights and settings, kept in a folder part by part.

    A photo that could not be read is asked for again by the next command: the disk may have been at fault.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Question, Answer] = {}
        for file in sorted(folder.glob("*.json")):
            self._known.update((question, answer) for question, answer in _read(file) if not answer.unreadable)

    def __contains__(self, question: Question) -> bool:
        return question in self._known

    def add(self, questions: Sequence[Question], paths: Sequence[str], result: ShardResult) -> None:
        """Keep the answers to some questions, whose rows have these paths."""
        found = list(zip(questions, _answers(paths, result), strict=True))
        self._known.update(found)
        name = digest(list(questions))[:16]
        write_json(self._folder / f"{name}.json", {question: asdict(answer) for question, answer in found})

    def result(self, table: ImageTable, questions: Sequence[Question], settings: FaceApiSettings) -> ShardResult:
        """The result of a split whose rows' questions are all answered. Its seconds are those of all its rows,
        whichever split had them evaluated."""
        text, remarks, answers = io.StringIO(newline=""), [], [self._known[question] for question in questions]
        writer = csv.writer(text, lineterminator="\n")
        for row, answer in zip(labelled(table, settings), answers, strict=True):
            correct = int(answer.pred_label == row.label)
            cells = answer.pred_label, answer.score, answer.face_detected, answer.iou
            writer.writerow((row.path, row.label, *cells, correct))
            if answer.unreadable:
                remarks.append(f"{_UNREADABLE}{row.path}: {answer.unreadable}\n")
        seconds = round(math.fsum(answer.seconds for answer in answers), 3)
        said = any(answer.probabilities for answer in answers)
        probabilities = [answer.probabilities for answer in answers] if said else ()
        return ShardResult(text.getvalue(), "".join(remarks), seconds, probabilities)


def unreadable_photos(result: ShardResult) -> list[str]:
    """An evaluator's lines on photos that cannot be read, without what they begin with: "PATH: REASON"."""
    lines = result.remarks.splitlines()
    return [line.removeprefix(_UNREADABLE) for line in lines if line.startswith(_UNREADABLE)]


def _answers(paths: Sequence[str], result: ShardResult) -> list[Answer]:
    rows = list(csv.DictReader(io.StringIO(result.rows, newline=""), RESULT_COLUMNS))
    photos = unreadable_photos(result)
    probabilities = result.probabilities or [None] * len(rows)
    share = result.seconds / max(1, len(rows))
    found = []
    for path, row, probability in zip(paths, rows, probabilities, strict=True):
        why = next((line.removeprefix(f"{path}: ") for line in photos if line.startswith(f"{path}: ")), "")
        cells = row["pred_label"], row["score"], row["face_detected"], row["iou"]
        found.append(Answer(*cells, probability, why, share))
    return found


def _read(file: Path) -> list[tuple[Question, Answer]]:
    """The answers of a file; none where it is damaged, and so is asked again."""
    try:
        return [(question, Answer(**answer)) for question, answer in (read_json(file) or {}).items()]
    except (AttributeError, TypeError):
        return []
