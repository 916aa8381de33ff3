"""Names in Unicode forms other than on disk, each component by itself.

The disk of these tests must keep names as they are written, as Linux does; macOS takes all forms for the same name.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import write_csv

from trainable.cache.hashes import ImageHashes, file_digest
from trainable.data.files import ImageFiles, Unusable
from trainable.data.spelling import Spellings, spelled
from trainable.data.tables import ImageTable, read_table

FORMS = ("NFC", "NFD")


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def keeps_forms(folder: Path) -> bool:
    (folder / nfc("가")).touch()
    return not (folder / nfd("가")).exists()


@pytest.fixture(autouse=True)
def _disk(tmp_path_factory: pytest.TempPathFactory) -> None:
    if not keeps_forms(tmp_path_factory.mktemp("disk")):
        pytest.skip("this disk takes all forms for the same name")


def make(root: Path, name: str, content: str | None = None) -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(name if content is None else content)
    return file


def found(root: Path, path: str, files: ImageFiles | None = None) -> Path | None:
    files = ImageFiles(root) if files is None else files  # one without files is false
    number = files.find(path)
    return None if isinstance(number, Unusable) else files.file(number)


def table_of(root: Path, paths: list[str]) -> ImageTable:
    write_csv(root / "t.csv", ("path", "label"), [(path, "x") for path in paths])
    table, problems = read_table(root / "t.csv", root)
    assert problems == []
    return table


@pytest.mark.parametrize(
    ("on_disk", "written"),
    [
        (f"{nfc('사진')}/{nfd('기쁨')}.jpg", f"{nfd('사진')}/{nfc('기쁨')}.jpg"),
        (f"{nfc('사진')}/{nfd('기쁨')}.jpg", f"{nfc('사진')}/{nfc('기쁨')}.jpg"),
        (f"{nfd('사진')}/{nfc('기쁨')}.jpg", f"{nfd('사진')}/{nfd('기쁨')}.jpg"),
        (f"{nfc('가')}/{nfd('나')}/{nfc('다')}.jpg", f"{nfd('가')}/{nfc('나')}/{nfd('다')}.jpg"),
        (f"{nfd('가')}/b/{nfc('다')}{nfd('라')}.jpg", f"{nfc('가')}/b/{nfd('다라')}.jpg"),
        (f"{nfc('가')}/ㅋㅋ{nfd('나')}.jpg", f"{nfd('가')}/ㅋㅋ{nfc('나')}.jpg"),
        (f"{nfc('Bücher')}/{nfd('é')}.jpg", f"./{nfd('Bücher')}//{nfc('é')}.jpg"),
        (f"{nfc('가')}/{nfd('나')}.jpg", f"{nfc('가')}\\{nfc('나')}.jpg"),
    ],
)
def test_each_component_has_a_form_of_its_own(on_disk: str, written: str, tmp_path: Path) -> None:
    file = make(tmp_path, on_disk)
    assert found(tmp_path, written) == file


@given(
    st.lists(
        st.tuples(st.sampled_from(["가", "기쁨", "한글 폴더", "é", "plain", "ㅋ글"]), *[st.sampled_from(FORMS)] * 2),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_the_forms_a_path_names_its_file(parts: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        on_disk, written = ("/".join(unicodedata.normalize(part[k], part[0]) for part in parts) for k in (1, 2))
        file = make(Path(name), f"{on_disk}.jpg")
        assert found(Path(name), f"{written}.jpg") == file


def test_compatibility_letters_are_others(tmp_path: Path) -> None:
    """ㄱ for itself (U+3131) and as a part of a syllable (U+1100) are no two forms of the same name."""
    make(tmp_path, f"{nfc('가')}/\u3131{nfd('나')}.jpg")
    assert found(tmp_path, f"{nfd('가')}/\u1100{nfc('나')}.jpg") is None


def test_the_name_as_it_is_written_wins(tmp_path: Path) -> None:
    folder = nfc("가")
    files = [make(tmp_path, f"{folder}/{form}.jpg") for form in (nfc("나"), nfd("나"))]
    for file in files:
        assert found(tmp_path, f"{folder}/{file.name}") == file
        assert next(Spellings(f"{tmp_path}/").of(f"{nfd(folder)}/{file.name}")) == f"{folder}/{file.name}"


def test_a_folder_in_both_forms_is_looked_through_in_both(tmp_path: Path) -> None:
    make(tmp_path, f"{nfc('가')}/other.jpg")
    file = make(tmp_path, f"{nfd('가')}/{nfc('나')}/{nfd('다')}.jpg")
    assert found(tmp_path, f"{nfc('가')}/{nfc('나')}/{nfc('다')}.jpg") == file


def test_a_folder_is_read_once_whatever_number_of_files_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number}{nfd('기쁨')}.jpg" for number in range(200)]
    for name in names:
        make(tmp_path, f"{nfc('사진')}/{name}")
    read: list[str] = []
    listdir = os.listdir

    def counted(folder: str) -> list[str]:  # the real one, counted
        read.append(folder)
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", counted)
    files = ImageFiles(tmp_path)
    assert all(found(tmp_path, f"{nfd('사진')}/{nfc(name)}", files) for name in names)
    assert not any(found(tmp_path, f"{nfd('사진')}/{nfc(name)}2", files) for name in names)
    assert len(read) == 2, "the root and the folder"


def test_the_project_root_itself_may_be_decomposed(tmp_path: Path) -> None:
    root = tmp_path / nfd("프로젝트")
    file = make(root, f"{nfc('사진')}/{nfd('기쁨')}.jpg")
    assert found(root, f"{nfd('사진')}/{nfc('기쁨')}.jpg") == file
    assert spelled(tmp_path / nfc("프로젝트")) == root
    assert found(spelled(tmp_path / nfc("프로젝트")), f"{nfc('사진/기쁨')}.jpg") == file


def test_a_table_with_mixed_names_is_hashed_and_travels(tmp_path: Path) -> None:
    on_disk = [f"{nfc('사진')}/{nfd('기쁨')}{number}.jpg" for number in range(3)]
    paths = [nfc(name) for name in on_disk]
    made = [make(tmp_path, name) for name in on_disk]
    make(tmp_path, "plain.jpg")
    table = table_of(tmp_path, ["plain.jpg", *paths])
    part = table.take([3, 1])
    for each, expected in ((table, [tmp_path / "plain.jpg", *made]), (part, [made[2], made[0]])):
        ImageHashes().fill([each])
        assert each.digests() == [file_digest(file) for file in expected]
        there = pickle.loads(pickle.dumps(each))
        assert list(there.images) == expected
        assert there.paths == each.paths


def test_a_remembered_list_knows_which_form_a_name_had(tmp_path: Path) -> None:
    """The same paths of the CSV, sizes and times, but the file is the folder's other one."""
    hashes = ImageHashes(tmp_path / "hashes.sqlite")
    folder, written = nfc("사진"), f"{nfd('사진')}/{nfc('가')}{nfd('나')}.jpg"
    for name, content in ((nfd("가나"), "first"), (f"{nfd('가')}{nfc('나')}", "other")):
        file = make(tmp_path, f"{folder}/{name}.jpg", content)
        os.utime(file, ns=(10**18, 10**18))
        table = table_of(tmp_path, [written])
        hashes.fill([table])
        assert table.digests() == [file_digest(file)]
        file.unlink()


@pytest.mark.parametrize("missing", ["가/나.jpg", "없음/나.jpg", "가/없음/나.jpg", "가.jpg/나.jpg"])
def test_what_is_not_there_is_not_found(missing: str, tmp_path: Path) -> None:
    make(tmp_path, f"{nfd('가')}/{nfc('다')}.jpg")
    make(tmp_path, f"{nfd('가.jpg')}")
    assert found(tmp_path, missing) is None


def test_paths_of_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = make(tmp_path, f"{nfc('설정')}/{nfd('실험')}.json")
    wanted = tmp_path / f"{nfd('설정')}/{nfc('실험')}.json"
    assert spelled(wanted) == file
    assert spelled(file) == file
    assert spelled(tmp_path / nfc("없음")) == tmp_path / nfc("없음")
    monkeypatch.chdir(tmp_path)
    assert spelled(Path(f"{nfd('설정')}/{nfc('실험')}.json")).read_text() == file.read_text()
    assert list(Spellings("").of(nfd("설정"))) == [nfc("설정")]
