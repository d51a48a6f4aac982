"""Where snapshots lie, and how their files are read and written."""

import os

import pytest

from pytest_torchlens.snapshots import files
from pytest_torchlens.snapshots.files import FileError, forget, node_id, place_of, read_text, write_text
from pytest_torchlens.snapshots.names import fingerprint

TEST = "def test_graph(): pass"


def place(pytester, source=TEST, name="test_graph", check="", options=()):
    module = pytester.getmodulecol(source, configargs=options)
    return place_of(pytester.collect_by_name(module, name), check)


def item_in(pytester, path, *options):
    """The one test of a new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEST)
    (item,) = pytester.inline_genitems(path, *options)[0]
    return item


# -- where -------------------------------------------------------------------------------------------


def test_beside_the_test(pytester):
    found = place(pytester)
    stem = "test_beside_the_test"
    assert found.file == pytester.path / "__lens__" / stem / "test_graph.lens"
    assert found.received == pytester.path / ".pytest_cache/d/lens/__lens__" / stem / "test_graph.lens"
    assert found.test == f"{stem}.py::test_graph"
    assert found.command == f'pytest --lens-update "{stem}.py::test_graph"'
    assert found.shown(found.file) == f"__lens__/{stem}/test_graph.lens"
    assert found.shown(pytester.path.parent / "x") == str(pytester.path.parent / "x")


def test_of_a_named_check(pytester):
    assert place(pytester, check="encoder").file.name == "test_graph@encoder.lens"


def test_in_a_folder(pytester):
    found = place_of(item_in(pytester, pytester.path / "a" / "b" / "test_it.py"), "")
    assert found.file == pytester.path / "a/b/__lens__/test_it/test_graph.lens"
    assert found.test == "a/b/test_it.py::test_graph"


def test_in_a_directory_for_all(pytester):
    found = place_of(
        item_in(pytester, pytester.path / "a" / "test_it.py", "--lens-snapshot-dir=kept/all"), ""
    )
    assert found.file == pytester.path / "kept/all/a/test_it/test_graph.lens"
    assert found.received == pytester.path / ".pytest_cache/d/lens/kept/all/a/test_it/test_graph.lens"
    assert found.command == 'pytest --lens-update "--lens-snapshot-dir=kept/all" "a/test_it.py::test_graph"'


def test_in_a_directory_outside(pytester, tmp_path_factory):
    kept = tmp_path_factory.mktemp("kept")
    found = place_of(item_in(pytester, pytester.path / "test_it.py", f"--lens-snapshot-dir={kept}"), "")
    assert found.file == kept / "test_it" / "test_graph.lens"
    folder = fingerprint(str(kept / "test_it"))
    assert found.received == pytester.path / ".pytest_cache/d/lens" / folder / "test_graph.lens"


def test_called_from_another_folder(pytester, monkeypatch):
    pytester.makeini("[pytest]")
    path = pytester.path / "tests" / "test_it.py"
    below = pytester.mkdir("below")
    monkeypatch.chdir(below)
    found = place_of(item_in(pytester, path), "")
    assert found.file == path.parent / "__lens__" / "test_it" / "test_graph.lens"
    assert found.test == "tests/test_it.py::test_graph"
    assert found.command == 'pytest --lens-update "../tests/test_it.py::test_graph"'
    monkeypatch.chdir(path.parent)
    found = place_of(item_in(pytester, path), "")
    assert found.test == "tests/test_it.py::test_graph"
    assert found.command == 'pytest --lens-update "test_it.py::test_graph"'
    assert found.shown(found.file) == "__lens__/test_it/test_graph.lens"


def test_another_root_changes_no_file(pytester):
    path = pytester.path / "tests" / "test_it.py"
    found = [
        place_of(item_in(pytester, path, f"--rootdir={root}"), "") for root in (pytester.path, path.parent)
    ]
    assert [one.test for one in found] == ["tests/test_it.py::test_graph", "test_it.py::test_graph"]
    assert found[0].file == found[1].file


def test_outside_of_the_root(pytester):
    path = pytester.path / "tests" / "test_it.py"
    root = pytester.mkdir("root")
    found = place_of(item_in(pytester, path, f"--rootdir={root}"), "")
    assert found.file == path.parent / "__lens__" / "test_it" / "test_graph.lens"
    assert found.test == "test_it.py::test_graph"
    assert found.command == 'pytest --lens-update "tests/test_it.py::test_graph"'
    assert found.received.parent.name == fingerprint(str(found.file.parent))
    item = item_in(pytester, path, f"--rootdir={root}", "--lens-snapshot-dir=kept")
    with pytest.raises(FileError) as failed:
        place_of(item, "")
    assert str(failed.value) == (
        f"{path} lies outside of the root directory {root}, so it has no place in {pytester.path / 'kept'}. "
        "Call pytest with --rootdir, or without --lens-snapshot-dir."
    )


def test_of_a_class_and_of_parameters(pytester):
    source = """
        import pytest

        class TestNet:
            @pytest.mark.parametrize("x", ["a/b"])
            def test_graph(self, x): pass
    """
    items = pytester.getitems(source)
    found = place_of(items[0], "")
    assert found.test.endswith(".py::TestNet::test_graph[a/b]")
    assert found.file.name.startswith("TestNet.test_graph-a_b-")


def test_of_a_model_class(pytester):
    source = """
        import pytest
        from torch import nn

        @pytest.mark.lens_snapshot(inputs=(2,))
        class Net(nn.ReLU): pass
    """
    assert place(pytester, source, "Net").file.name == "Net.lens"


def test_the_group_of_xdist_is_no_part_of_an_id(pytester):
    item = pytester.getitem(TEST, "test_graph")
    before = node_id(item)
    item._nodeid = f"{before}@group"
    assert node_id(item) == before


def test_an_id_is_one_line(pytester):
    item = pytester.getitem(TEST, "test_graph")
    item.name = "test_graph[a\nb\x85\udcff]"
    assert node_id(item).endswith("::test_graph[a\\nb\\x85\\udcff]")


def test_without_a_cache(pytester, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = [place(pytester, options=("-p", "no:cacheprovider")).received for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].parents[2].parent == tmp_path
    assert found[0].parents[2].name.startswith("pytest-lens-")
    elsewhere = place(pytester, options=("-p", "no:cacheprovider", f"--rootdir={pytester.mkdir('root')}"))
    assert elsewhere.received.parents[1] != found[0].parents[2]


def test_a_cache_that_cannot_be_made(pytester, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pytester.path.joinpath("taken").write_text("a file")
    found = place(pytester, options=("-o", "cache_dir=taken"))
    assert found.received.is_relative_to(tmp_path)


# -- reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
def test_lines_end_in_a_line_feed(tmp_path, ends):
    file = tmp_path / "a.lens"
    file.write_bytes(ends.join([b"a", "b é".encode(), b""]))
    assert read_text(file) == "a\nb é\n"


def test_a_mark_of_byte_order_is_left_out(tmp_path):
    file = tmp_path / "a.lens"
    file.write_text("a\n", encoding="utf-8-sig")
    assert read_text(file) == "a\n"


def test_no_file(tmp_path):
    assert read_text(tmp_path / "a.lens") is None
    (tmp_path / "taken").write_text("a file")
    assert read_text(tmp_path / "taken" / "a.lens") is None


def test_not_utf_8(tmp_path):
    file = tmp_path / "a.lens"
    file.write_bytes(b"a\nb\nc \xff\nd")
    with pytest.raises(FileError, match=r"^it is not UTF-8$") as failed:
        read_text(file)
    assert failed.value.line == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders")
def test_a_directory_or_a_pipe_in_its_place(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(FileError, match=r"^it is no regular file$") as failed:
            read_text(path)
        assert failed.value.line is None


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    file = tmp_path / "a.lens"
    file.write_text("a")

    def refused(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refused)
    with pytest.raises(FileError, match=r"^it cannot be read \(Permission denied\)$"):
        read_text(file)


def test_a_large_file_is_not_read(tmp_path, monkeypatch):
    file = tmp_path / "a.lens"
    with file.open("wb") as stream:
        stream.truncate(100 * 2**20)
    monkeypatch.setattr("pathlib.Path.read_bytes", lambda self: pytest.fail("it was read"))
    with pytest.raises(FileError, match=r"^it has 100\.0 MiB, more than the 64 of any snapshot$"):
        read_text(file)


# -- writing -----------------------------------------------------------------------------------------


def test_folders_are_made_and_nothing_else_is_left(tmp_path):
    file = tmp_path / "a" / "b" / "c.lens"
    for text in ("one\n", "é\n"):
        write_text(file, text)
        assert file.read_bytes() == text.encode()
        assert os.listdir(file.parent) == ["c.lens"]


def test_the_mode_is_that_of_other_files(tmp_path):
    write_text(tmp_path / "a.lens", "a")
    (tmp_path / "b").write_text("b")
    assert (tmp_path / "a.lens").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_file_stands_where_the_folder_should(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(FileError, match=r"^it cannot be written \(.+\)$"):
        write_text(tmp_path / "taken" / "a.lens", "a")
    assert (tmp_path / "taken").read_text() == "a file"


@pytest.mark.parametrize("function", ["write_bytes", "replace"])
def test_a_disk_that_fails_leaves_what_was_there(tmp_path, monkeypatch, function):
    file = tmp_path / "a.lens"
    file.write_text("before")

    def full(*_):
        raise OSError(28, "No space left on device")

    if function == "replace":
        monkeypatch.setattr(os, "replace", full)
    else:
        monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(FileError, match=r"^it cannot be written \(No space left on device\)$"):
        write_text(file, "after")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["a.lens"]
    assert file.read_text() == "before"


def test_what_could_not_be_read_again_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SIZE_LIMIT", 2**20)
    write_text(tmp_path / "a.lens", "x" * 2**20)
    with pytest.raises(FileError, match=r"^it would have 1\.5 MiB, more than 1$"):
        write_text(tmp_path / "b.lens", "x" * (2**20 + 2**19))
    assert os.listdir(tmp_path) == ["a.lens"]


def test_forgotten_files(tmp_path):
    file = tmp_path / "a" / "b.lens"
    forget(file)
    write_text(file, "b")
    forget(file)
    assert file.parent.is_dir()
    assert not file.exists()
    forget(file.parent)  # a folder stays, without a word
    assert file.parent.is_dir()
