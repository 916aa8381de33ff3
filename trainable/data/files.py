"""The image files that CSVs name: each is looked up on disk once, whatever number of CSVs name it."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Literal, overload

from trainable.data.spelling import Spellings

ROOT_HINT = "paths are relative to the project root; is --project-root right?"

Form = Literal["NFC", "NFD"]
FORMS: tuple[Form | None, ...] = (None, "NFC", "NFD")
"""How the name on disk follows from the path in the CSV: as it is, or in this Unicode form."""
MIXED = len(FORMS)
"""The form of a name whose components are not all in the same one; it is kept as it is on disk."""

_State = tuple[Path, list[str], bytes, dict[int, str], bytes, bytes]
DIGEST_BYTES = 32
_NO_DIGEST = bytes(DIGEST_BYTES)

_json_string = json.JSONEncoder(ensure_ascii=False).encode

_PLAIN = re.compile(r"[^/\\:.\s][^\\:]*[^/\\:.\s]").fullmatch
"""Nearly all paths are plain: whether these name an image is for the disk alone to say."""


@dataclass(frozen=True)
class Unusable:
    """Why a path of a CSV names no image."""

    message: str
    hint: str = ""


def stamp_of(stat: os.stat_result) -> str:
    """Size in bytes and time of modification in nanoseconds: a file whose stamp is another is hashed again."""
    return f"{stat.st_size}:{stat.st_mtime_ns}"


def name_on_disk(path: str, form: int) -> str:
    """The file's path below the project root, with `/`, from the CSV's path and an index into `FORMS`."""
    text = path.replace("\\", "/") if "\\" in path else path
    if text.endswith(("/", "/.")):
        text = PurePosixPath(text).as_posix()
    unicode_form = FORMS[form]
    return unicodedata.normalize(unicode_form, text) if unicode_form else text


class ImageFiles:
    """The image files of one project root, numbered in the order in which they are asked for first.

    File n has the path `paths[n]` in the CSV, the form `forms[n]` (an index into `FORMS`, or `MIXED`) and, until it is
    hashed, the stamp `stamps[n]` of when it was looked up. Where `hashed[n]` is 1, the SHA-256 of its content is in
    `digests`, from byte `DIGEST_BYTES * n` on.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths: list[str] = []
        self.forms, self.hashed, self.digests = bytearray(), bytearray(), bytearray()
        self.stamps: list[str] = []
        self.numbers: dict[str, int] = {}
        self._json: list[bytes] = []
        self._mixed: dict[int, str] = {}
        self._prefix = os.path.join(root, "")  # noqa: PTH118 (ends with the separator, of which / has one already)
        self._spellings = Spellings(self._prefix)

    def __len__(self) -> int:
        return len(self.paths)

    def find(self, path: str) -> int | Unusable:
        """The number of the file that `path` names.

        "Inside the root" is meant as the path is written: a link that the user put there may lead to another disk.
        """
        number = self.plain(path)
        if number is not None:
            return number
        text = name_on_disk(path, 0)
        if not path:
            return Unusable("is empty")
        if text.startswith("/") or text[1:2] == ":":  # with a drive, or with two slashes on a server
            return Unusable(f"{path!r} is absolute", ROOT_HINT)
        if ".." in text and os.path.normpath(text).split("/")[0] == "..":
            return Unusable(f"{path!r} leads out of the project root", ROOT_HINT)
        for form in range(1 if text.isascii() else len(FORMS)):
            if stat := self._stat(name_on_disk(path, form)):
                return self._add(path, form, stamp_of(stat))
        for name in () if text.isascii() else self._spellings.of(text):
            if stat := self._stat(name):
                return self._add(path, MIXED, stamp_of(stat), name)
        if os.path.isdir(self._prefix + text):  # noqa: PTH112 (Path.is_dir raises for a name that is too long)
            return Unusable(f"{path!r} is a folder, but must be an image")
        return Unusable(f"no such image: {path!r}", ROOT_HINT)

    def no_more_csvs(self) -> None:
        """Give back what only further look-ups by path need."""
        self.numbers, self._spellings = {}, Spellings(self._prefix)

    def plain(self, path: str) -> int | None:
        """The number of a file that is known, or found under a plain path."""
        number = self.numbers.get(path)
        if number is None and _PLAIN(path) and ".." not in path and (stat := self._stat(path)):
            return self._add(path, 0, stamp_of(stat))
        return number

    def on_disk(self, number: int) -> str:
        """Where a file lies below the project root, with `/`."""
        form = self.forms[number]
        return self._mixed[number] if form == MIXED else name_on_disk(self.paths[number], form)

    def name(self, number: int) -> str:
        """Where a file lies, as text, which takes a fraction of a `Path`'s time and memory."""
        return self._prefix + self.on_disk(number)

    def file(self, number: int) -> Path:
        """Where a file lies."""
        return self.root / self.on_disk(number)

    def json_paths(self) -> list[bytes]:
        """Each path as a JSON string in UTF-8; they are written once, whatever number of tables has them."""
        self._json += [_json_string(path).encode() for path in self.paths[len(self._json) :]]
        return self._json

    def images(self, numbers: array[int]) -> Sequence[Path]:
        """Where these files lie."""
        return _Images(self, numbers)

    def set_digest(self, number: int, digest: bytes | bytearray) -> None:
        """Note the SHA-256 of a file's content; its stamp has served then."""
        self.stamps[number] = ""
        self.digests[DIGEST_BYTES * number : DIGEST_BYTES * (number + 1)] = digest
        self.hashed[number] = 1

    def digest(self, number: int, unknown: str = "") -> str:
        """The SHA-256 of a file's content in hex; `unknown` where it is not hashed."""
        return (
            self.digests[DIGEST_BYTES * number : DIGEST_BYTES * (number + 1)].hex() if self.hashed[number] else unknown
        )

    def only(self, numbers: Iterable[int]) -> ImageFiles:
        """These files by themselves, numbered in this order."""
        part = ImageFiles(self.root)
        for place, number in enumerate(numbers):
            part._add(self.paths[number], self.forms[number], self.stamps[number], self._mixed.get(number))
            if self.hashed[number]:
                part.set_digest(place, self.digests[DIGEST_BYTES * number : DIGEST_BYTES * (number + 1)])
        return part

    def __getstate__(self) -> _State:
        """A table travels to other machines, where neither stamps nor look-ups by path are needed."""
        return self.root, self.paths, bytes(self.forms), self._mixed, bytes(self.hashed), bytes(self.digests)

    def __setstate__(self, state: _State) -> None:
        root, paths, forms, mixed, hashed, digests = state
        self.__init__(root)  # type: ignore[misc]
        self.paths, self.forms, self._mixed = paths, bytearray(forms), mixed
        self.hashed, self.digests = bytearray(hashed), bytearray(digests)
        self.stamps = [""] * len(paths)

    def _stat(self, text: str) -> os.stat_result | None:
        try:
            stat = os.stat(self._prefix + text)  # noqa: PTH116 (Path.stat takes twice the time, once per image)
        except OSError:
            return None
        return stat if S_ISREG(stat.st_mode) else None

    def _add(self, path: str, form: int, stamp: str, mixed: str | None = None) -> int:
        number = self.numbers[path] = len(self.paths)
        if mixed is not None:
            self._mixed[number] = mixed
        self.paths.append(path)
        self.forms.append(form)
        self.stamps.append(stamp)
        self.hashed.append(0)
        self.digests += _NO_DIGEST
        return number


class _Images(Sequence[Path]):
    """Files by their places in a list of numbers; a `Path` takes some hundred bytes, so each is made when asked for."""

    def __init__(self, files: ImageFiles, numbers: array[int]) -> None:
        self._files, self._numbers = files, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Path: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Path]: ...

    def __getitem__(self, index: int | slice) -> Path | Sequence[Path]:
        if isinstance(index, slice):
            return _Images(self._files, self._numbers[index])
        return self._files.file(self._numbers[index])
