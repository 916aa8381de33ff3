"""The first sentences of a report: is a MobileNet better than the baseline, by how much, and how sure is that?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.statistics.comparison import PairedComparison
from orchestrator.statistics.detection import DetectorComparison
from orchestrator.statistics.values import Difference, Interval, Verdict

FEW_ROWS = 100
"""With fewer rows only large differences can be shown (docs/results.md)."""
REMARKS = 2
"""More would hide the first sentence."""
MAIN_SCORE = "macro_f1"
FALLBACK_SCORE = "accuracy"
"""Counts where the main score has no interval, as with a class of one row."""
NAMES = {"macro_f1": "macro-F1", "accuracy": "accuracy"}


@dataclass(frozen=True)
class Candidate:
    """A method that may be better than the baseline.

    Attributes:
        name: as the reader is to see it, for example "MobileNet finetune".
        comparison: with the baseline; None while one of the two has no result.
        unfinished: why there is no result, half a sentence ("stopped after epoch 7 of 30"); "" where there is one.
        answered: number of different classes that it ever answers; None if unknown.
    """

    name: str
    comparison: DetectorComparison | None
    unfinished: str = ""
    answered: int | None = None


@dataclass(frozen=True)
class Question:
    """One split with its baseline and candidates.

    Attributes:
        split: as the reader is to see it, for example "M1".
        baseline: the baseline's name, for example "FaceAPI".
        candidates: in the order of the table.
        baseline_missing: why the baseline has no result, half a sentence; "" where it has one.
    """

    split: str
    baseline: str
    candidates: Sequence[Candidate]
    baseline_missing: str = ""


@dataclass(frozen=True)
class _Finding:
    """A candidate, and its comparison on all joined rows by the score that decides."""

    candidate: Candidate
    compared: PairedComparison
    score: str

    @property
    def difference(self) -> Difference:
        return self.compared.scores[self.score]

    @property
    def verdict(self) -> Verdict:
        return self.difference.verdict


def answer(question: Question) -> str:
    """One or two English sentences, plain text without markup, for the first screen of a report.

    The first one says whether a candidate is better on all rows, by how much, and how sure that is: of several it
    speaks of the best. The second one has the most important remarks, REMARKS at most: what contradicts the first, what
    is found of the other candidates, who has no result, a method that always answers the same, rows that could not be
    joined, classes with few rows, few rows.
    """
    findings = [
        _Finding(each, each.comparison.all_rows, _deciding_score(each.comparison.all_rows))
        for each in question.candidates
        if each.comparison and each.comparison.all_rows
    ]
    if question.baseline_missing or not findings:
        return f"On {question.split}, nothing can be compared: {_obstacle(question)}."
    order = (Verdict.BETTER, Verdict.NO_DIFFERENCE, Verdict.CANNOT_TELL, Verdict.WORSE)
    best = min(findings, key=lambda each: (order.index(each.verdict), -each.difference.difference.value))
    remarks = [
        *_contradictions(best, question.baseline),
        *_others([each for each in findings if each is not best], question.baseline),
        *_without_result(question.candidates),
        *_doubts(best),
    ]
    second = "; ".join(remarks[:REMARKS])
    return f"On {question.split}, {_verdict(best, question.baseline)}." + (f" {_capital(second)}." if second else "")


def _obstacle(question: Question) -> str:
    """Why no candidate was compared with the baseline."""
    if question.baseline_missing:
        return f"{question.baseline} has no result ({question.baseline_missing})"
    if not question.candidates:
        return f"{question.baseline} is the only method"
    apart = [each for each in question.candidates if each.comparison]
    if not apart:
        return "; ".join(_without_result(question.candidates))
    names = _listed([each.name for each in apart])
    return f"no face that {question.baseline} was given could be found among those of {names}"


def _verdict(best: _Finding, baseline: str) -> str:
    """What the comparison says, with its figures."""
    name, difference, rows = best.candidate.name, best.difference, _rows(best)
    if difference.identical:
        return f"{baseline} and {name} gave identical answers on {rows}"
    figures, interval = f"{_figures(best)} on {rows}", difference.difference.interval
    if not isinstance(interval, Interval):
        why = f"too few data, {interval.reason}"
        return f"it cannot be told whether {name} is better than {baseline} ({figures}): {why}"
    sure = f"{100 * interval.level:.4g} % interval {interval.low:+.3f} to {interval.high:+.3f}"
    figures = f"{figures}, a difference of {difference.difference.value:+.3f} ({sure})"
    if best.verdict is Verdict.NO_DIFFERENCE:
        return f"no difference between {name} and {baseline} is shown: {figures}"
    found = _on_found_faces(best)
    also = ""
    if found and found.verdict is best.verdict:
        also = f", also on the {found.compared.n:,} faces that {baseline} found"
    return f"{name} is {best.verdict} than {baseline}{also}: {figures}"


def _rows(best: _Finding) -> str:
    complete = best.candidate.comparison is None or best.candidate.comparison.join.complete
    return f"all {best.compared.n:,} rows" if complete else f"the {best.compared.n:,} joined rows"


def _on_found_faces(best: _Finding) -> _Finding | None:
    """The comparison on the faces that the baseline found; None if it found all or none."""
    matched = best.candidate.comparison.matched if best.candidate.comparison else None
    if matched is None or matched.n == best.compared.n:
        return None
    return _Finding(best.candidate, matched, _deciding_score(matched))


def _contradictions(best: _Finding, baseline: str) -> list[str]:
    """Say so where accuracy, or the faces that the baseline found, give another verdict."""
    said, name = [], best.candidate.name
    if best.candidate.comparison and best.candidate.comparison.matched is None:
        said.append(f"{baseline} found none of the faces")
    found = _on_found_faces(best)
    if found and found.verdict is not best.verdict:
        faces = f"the {found.compared.n:,} faces that {baseline} found"
        said.append(f"on {faces} {_short(found.verdict, name, baseline)} ({_figures(found)})")
    accuracy = best.compared.scores[FALLBACK_SCORE].verdict
    if accuracy in (Verdict.BETTER, Verdict.WORSE) and accuracy is not best.verdict:
        said.append(f"by {NAMES[FALLBACK_SCORE]} {name} is {accuracy}")
    return said


def _others(findings: Sequence[_Finding], baseline: str) -> list[str]:
    """The verdicts of the other candidates, those with the same one together."""
    said = []
    for verdict in Verdict:
        names = [each.candidate.name for each in findings if each.verdict is verdict]
        if names:
            said.append(_short(verdict, _listed(names), baseline, len(names)))
    return [", ".join(said)] if said else []


def _short(verdict: Verdict, names: str, baseline: str, number: int = 1) -> str:
    if verdict is Verdict.NO_DIFFERENCE:
        return f"no difference between {names} and {baseline} is shown"
    if verdict is Verdict.CANNOT_TELL:
        return f"it cannot be told whether {names} {'is' if number == 1 else 'are'} better than {baseline}"
    return f"{names} {'is' if number == 1 else 'are'} {verdict} than {baseline}"


def _without_result(candidates: Sequence[Candidate]) -> list[str]:
    missing = [each for each in candidates if each.comparison is None]
    said = [f"{each.name} has no result" + (f" ({each.unfinished})" if each.unfinished else "") for each in missing]
    return [", ".join(said)] if said else []


def _doubts(best: _Finding) -> list[str]:
    """What makes the comparison itself doubtful."""
    said, compared, comparison = [], best.compared, best.candidate.comparison
    if best.candidate.answered == 1:
        said.append(f"{best.candidate.name} answers every row with the same class")
    if comparison and not comparison.join.complete:
        said.append(comparison.join.statement().rstrip("."))
    absent = [name for name, rows in compared.support.items() if not rows]
    if absent:
        so = "macro-F1 is lower than it could be" if best.score == MAIN_SCORE else "accuracy is compared, not macro-F1"
        said.append(f"no row is of the class {_listed(absent)}, so {so}")
    elif best.score != MAIN_SCORE:
        said.append(f"macro-F1 is not compared because of too few data: {compared.scores[MAIN_SCORE].reason}")
    if compared.n < FEW_ROWS and best.verdict is not Verdict.CANNOT_TELL:
        said.append(f"with {compared.n} rows only large differences can be shown")
    return said


def _deciding_score(compared: PairedComparison) -> str:
    """The main score, or the other one where only that has an interval."""
    main, other = (compared.scores[name].difference.interval for name in (MAIN_SCORE, FALLBACK_SCORE))
    return FALLBACK_SCORE if isinstance(other, Interval) and not isinstance(main, Interval) else MAIN_SCORE


def _figures(finding: _Finding) -> str:
    difference = finding.difference
    return f"{NAMES[finding.score]} {difference.candidate:.3f} against {difference.reference:.3f}"


def _listed(names: Sequence[str]) -> str:
    """ "a", "a and b" or "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _capital(text: str) -> str:
    """The text with a capital letter in front."""
    return text[:1].upper() + text[1:]


def pair_answer(compared: PairedComparison, candidate: str, reference: str) -> str:
    """One or two English sentences on any two methods that were asked the same rows; see `answer`."""
    finding = _Finding(Candidate(candidate, None), compared, _deciding_score(compared))
    remarks = [*_contradictions(finding, reference), *_doubts(finding)]
    second = "; ".join(remarks[:REMARKS])
    return f"{_capital(_verdict(finding, reference))}." + (f" {_capital(second)}." if second else "")
