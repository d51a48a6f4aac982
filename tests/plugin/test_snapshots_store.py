"""A snapshot against its file: compared, written only if that is asked for, and told in words."""

import os
import sys

import pytest
from plugin.snapshot_project import (
    ACCEPT,
    AFTER,
    BEFORE,
    FILE,
    MODEL,
    ORDER,
    RECEIVED,
    REORDERED,
    TEST,
    said_of,
    snapshots_in,
)

from pytest_torchlens.snapshots import files, store
from torchlens_core import changes

MISSING = [
    f"no snapshot of this graph: there is no {FILE}",
    f"received: {RECEIVED}",
    f"write it with: {ACCEPT}",
]
PICTURE = RECEIVED.removesuffix(".lens") + ".svg"
TAIL = [f"expected: {FILE}", f"received: {RECEIVED}", f"picture: {PICTURE}", f"accept with: {ACCEPT}"]


@pytest.fixture(autouse=True)
def _compiled_anew(monkeypatch):
    """Sources of one length that are written within a second have the same compiled file."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.fixture
def file(run, pytester):
    """The snapshot of BEFORE."""
    run(BEFORE, "--lens-update").assert_outcomes(passed=1)
    return pytester.path / FILE


def stamp(file):
    """Tells whether a file was written anew."""
    return file.stat().st_ino, file.stat().st_mtime_ns


# -- missing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--lens-strict",), ("--lens-prune",), ("--assert=plain",)])
def test_a_missing_snapshot_fails(run, pytester, options):
    result = run(BEFORE, *options)
    result.assert_outcomes(failed=1)
    assert said_of(result.outlines) == MISSING
    assert snapshots_in(pytester.path) == {}
    received = (pytester.path / RECEIVED).read_text()
    assert received.startswith("# lens graph 1\n")
    run(BEFORE, "--lens-update")
    assert (pytester.path / FILE).read_text() == received  # so it can be copied, too


def test_what_it_says_to_do_does_it(run, pytester, monkeypatch):
    source = BEFORE.replace(
        "def test_graph(", "@pytest.mark.parametrize('n', ['a b', '$x'])\ndef test_graph(n, "
    )
    result = run(source)
    result.assert_outcomes(failed=2)
    for line in [line for line in result.outlines if line.startswith("write it with: ")]:
        command = line.partition(": ")[2].replace("pytest", f"{sys.executable} -m pytest", 1)
        assert pytester.run("bash", "-c", command).parseoutcomes() == {"passed": 1}
    assert len(snapshots_in(pytester.path)) == 2
    run(source).assert_outcomes(passed=2)


@pytest.mark.parametrize("update", ["--lens-update", "--lens-update=all", "--lens-update=new"])
def test_written_if_asked_for(run, pytester, summary_of, update):
    result = run(BEFORE, update)
    result.assert_outcomes(passed=1)
    assert summary_of(result) == ["1 snapshot written"]
    assert list(snapshots_in(pytester.path)) == [FILE]
    text = (pytester.path / FILE).read_text()
    assert text.splitlines()[:3:2] == ["# lens graph 1", "# test: test_it.py::test_graph"]
    result = run(BEFORE)
    result.assert_outcomes(passed=1)
    assert summary_of(result) == ["1 snapshot compared"]


def test_a_test_file_after_the_option_is_no_value(run, pytester):
    pytester.makepyfile(test_it="def test_other(): pass")
    run(BEFORE, "--lens-update", "test_it.py").assert_outcomes(passed=1)
    assert list(snapshots_in(pytester.path)) == [FILE]


# -- changed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--lens-update=new",), ("--assert=plain",), ("--lens-prune",)])
def test_another_graph_fails(run, file, pytester, summary_of, options):
    before = file.read_bytes()
    result = run(AFTER, *options)
    result.assert_outcomes(failed=1)
    said = said_of(result.outlines)
    assert said[0].startswith("graph of Net changed: ops 2 → 3")
    assert said[-4:] == TAIL
    assert any("+ add" in line for line in said)
    assert summary_of(result) == ["1 snapshot compared, 1 changed"]
    assert file.read_bytes() == before
    assert "add(" in (pytester.path / RECEIVED).read_text()


@pytest.mark.parametrize("update", ["--lens-update", "--lens-update=all"])
def test_accepted(run, file, summary_of, update):
    result = run(AFTER, update)
    result.assert_outcomes(passed=1)
    assert summary_of(result) == ["1 snapshot updated"]
    assert "add(" in file.read_text()
    run(AFTER).assert_outcomes(passed=1)
    run(BEFORE).assert_outcomes(failed=1)


def test_received_files_go_when_it_passes(run, file, pytester):
    received = pytester.path / RECEIVED
    for fixed in ((BEFORE,), (AFTER, "--lens-update")):
        run(AFTER)
        assert received.is_file()
        run(*fixed)
        assert not received.exists()


def test_an_equal_snapshot_is_not_written_again(run, file):
    file.write_text(file.read_text().replace("recorded with: torch ", "recorded with: torch 0."))
    before = stamp(file)
    run(BEFORE, "--lens-update").assert_outcomes(passed=1)
    assert stamp(file) == before
    run(AFTER, "--lens-update").assert_outcomes(passed=1)
    assert stamp(file) != before


def test_versions_are_told_where_they_differ(run, file):
    recorded = next(line for line in file.read_text().splitlines() if "recorded with" in line)
    version = recorded.rpartition(" ")[2]
    assert not any("recorded with" in line for line in run(AFTER).outlines)
    file.write_text(file.read_text().replace(recorded, "# recorded with: torch 2.0.9"))
    run(BEFORE).assert_outcomes(passed=1)
    assert said_of(run(AFTER).outlines)[-5] == f"recorded with torch 2.0.9, running {version}"


def test_details_are_told_if_asked_for(run, file):
    short, full = said_of(run(AFTER).outlines), said_of(run(AFTER, "--lens-details").outlines)
    assert short[0] == full[0]
    assert len(full) >= len(short)


# -- another order -----------------------------------------------------------------------------------


def test_another_order_is_a_note(run, pytester, summary_of):
    run(ORDER, "--lens-update")
    note = f"order of independent ops changed in 1 snapshot (--lens-strict fails for it): {FILE}"
    result = run(REORDERED)
    result.assert_outcomes(passed=1)
    assert summary_of(result) == ["1 snapshot compared", note]
    assert not (pytester.path / RECEIVED).exists()
    assert summary_of(run(ORDER)) == ["1 snapshot compared"]


def test_another_order_fails_if_asked_for(run, pytester):
    run(ORDER, "--lens-update")
    result = run(REORDERED, "--lens-strict")
    result.assert_outcomes(failed=1)
    assert said_of(result.outlines)[-4:] == TAIL
    pytester.makeini("[pytest]\nlens_strict = true")
    run(REORDERED).assert_outcomes(failed=1)
    run(ORDER).assert_outcomes(passed=1)


def test_another_order_is_accepted_too(run, summary_of):
    run(ORDER, "--lens-update")
    assert summary_of(run(REORDERED, "--lens-update")) == ["1 snapshot updated"]
    run(REORDERED, "--lens-strict").assert_outcomes(passed=1)


# -- what is ignored ---------------------------------------------------------------------------------


def ignoring(source, ignore):
    return source.replace("(2, 3)))", f"(2, 3)), ignore={ignore!r})")


@pytest.mark.parametrize(
    ("ignore", "outcome"), [(("breaking", "shape"), "passed"), ("order", "failed"), ("linear", "failed")]
)
def test_classes_are_ignored(run, file, ignore, outcome):
    run(ignoring(AFTER, ignore)).assert_outcomes(**{outcome: 1})


@pytest.mark.parametrize(
    ("ignore", "outcome"),
    [("linear", "passed"), ("lin*", "passed"), ("linear.*", "passed"), ("order", "failed")],
)
def test_modules_are_ignored(run, file, ignore, outcome):
    changed = BEFORE.replace("Linear(3, 3)", "Linear(3, 3, bias=False)")
    run(ignoring(changed, ignore)).assert_outcomes(**{outcome: 1})


def test_classes_are_those_of_a_diff():
    assert set(store.CLASSES) == set(changes.CLASSES)


def test_what_is_ignored_is_not_written(run, file):
    before = stamp(file)
    run(ignoring(AFTER, ["breaking", "shape"]), "--lens-update").assert_outcomes(passed=1)
    assert stamp(file) == before


def test_an_ignored_order_is_no_note(run, summary_of):
    run(ORDER, "--lens-update")
    for options in ((), ("--lens-strict",)):
        assert summary_of(run(ignoring(REORDERED, "order"), *options)) == ["1 snapshot compared"]


@pytest.mark.parametrize("options", [(), ("--lens-update",)])
@pytest.mark.parametrize("pattern", ["lineer", "ordr", "layer4.*"])
def test_a_pattern_that_matches_nothing_fails(run, pytester, summary_of, options, pattern):
    result = run(ignoring(BEFORE, pattern), *options)
    result.assert_outcomes(failed=1)
    first, second = said_of(result.outlines)
    assert first == (
        f"ignore= names '{pattern}', which is neither a class of changes nor matches the address of a module."
    )
    assert second == "The classes are 'breaking', 'shape', 'order'; modules are 'linear'."
    assert snapshots_in(pytester.path) == {}
    assert summary_of(result) == ["0 snapshots compared, 1 not compared"]


def test_a_pattern_may_match_a_module_that_is_gone(run, file):
    gone = MODEL.format("return x * 2") + TEST
    result = run(ignoring(gone, "line*"))
    assert not any("ignore= names" in line for line in result.outlines)
    result = run(ignoring(gone, "lone*"))
    assert any("ignore= names" in line for line in result.outlines)


# -- broken files ------------------------------------------------------------------------------------


def conflict(text):
    lines = text.splitlines(keepends=True)
    return "".join(
        [*lines[:5], "<<<<<<< ours\n", lines[5], "=======\n", lines[5], ">>>>>>> theirs\n", *lines[6:]]
    )


def of_another(text):
    return text.replace("test_it.py::test_graph", "test_it.py::test_other")


BROKEN = {
    "cut": lambda text: text[:-20],
    "empty": lambda text: "",
    "the header alone": lambda text: text[:9],
    "conflict": conflict,
    "edited": lambda text: text.replace("linear(_)", "linear(_"),
    "no note": lambda text: text.replace("# test: test_it.py::test_graph\n", ""),
}
FOREIGN = {
    "newer": lambda text: text.replace("# lens graph 1", "# lens graph 2"),
    "of another test": of_another,
    "of another test, and cut": lambda text: of_another(text)[:-20],
    "another file": lambda text: "name: a file of mine\n",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_file_is_left_until_it_is_accepted(run, file, pytester, summary_of, how):
    whole = file.read_text()
    broken = BROKEN[how](whole)
    assert broken != whole
    file.write_text(broken)
    for options in ((), ("--lens-update=new",)):
        result = run(BEFORE, *options)
        result.assert_outcomes(failed=1)
        said = said_of(result.outlines)
        assert said[0].startswith(f"{FILE}:")
        assert said[0].removeprefix(f"{FILE}:").partition(":")[0].isdigit()
        assert said[1:] == [
            "It is left as it is. Restore it from version control, or accept what was received.",
            f"received: {RECEIVED}",
            f"accept with: {ACCEPT}",
        ]
        assert summary_of(result) == ["0 snapshots compared, 1 not compared"]
        assert file.read_text() == broken
    assert summary_of(run(BEFORE, "--lens-update")) == ["1 snapshot updated"]
    assert file.read_text() == whole


def test_the_line_is_told(run, file):
    file.write_text(conflict(file.read_text()))
    assert said_of(run(BEFORE).outlines)[0].startswith(f"{FILE}:6: a conflict marker of git")
    file.write_text("")
    assert said_of(run(BEFORE).outlines)[0].startswith(f"{FILE}:1: ")


@pytest.mark.parametrize("how", FOREIGN)
def test_a_foreign_file_is_never_written_over(run, file, how):
    foreign = FOREIGN[how](file.read_text())
    assert foreign != file.read_text()
    file.write_text(foreign)
    for options in ((), ("--lens-update=new",), ("--lens-update",), ("--lens-prune",)):
        result = run(BEFORE, *options)
        result.assert_outcomes(failed=1)
        said = said_of(result.outlines)
        assert said[0].startswith(f"{FILE}:")
        assert said[1:] == [
            "It is left as it is, and --lens-update would leave it too.",
            "Restore it from version control, or move it away and write another.",
            f"received: {RECEIVED}",
            f"then write it with: {ACCEPT}",
        ]
        assert file.read_text() == foreign


def test_of_another_test(run, file):
    file.write_text(of_another(file.read_text()))
    assert said_of(run(BEFORE).outlines)[0] == (
        f"{FILE}:3: it is the snapshot of test_it.py::test_other, not of test_it.py::test_graph: "
        "it was probably copied or renamed"
    )


def test_of_a_test_that_another_file_system_takes_for_this(run, file):
    file.write_text(file.read_text().replace("::test_graph", "::Test_graph"))
    assert said_of(run(BEFORE).outlines)[0] == (
        f"{FILE}:3: it is the snapshot of test_it.py::Test_graph, not of test_it.py::test_graph: "
        "their names differ in upper and lower case alone"
    )


def test_the_folder_of_the_test_may_be_another(run, file, pytester):
    file.write_text(file.read_text().replace("test_it.py::", "tests/old/test_it.py::"))
    run(BEFORE).assert_outcomes(passed=1)
    run(AFTER, "--lens-update").assert_outcomes(passed=1)
    assert "# test: test_it.py::test_graph\n" in file.read_text()


def test_of_a_newer_format(run, file):
    file.write_text(FOREIGN["newer"](file.read_text()))
    assert said_of(run(BEFORE).outlines)[0].startswith(f"{FILE}:1: format 2, ")


@pytest.mark.parametrize("options", [(), ("--lens-update",)])
def test_not_utf_8(run, file, options):
    data = file.read_bytes().replace(b"linear", b"line\xff")
    file.write_bytes(data)
    result = run(BEFORE, *options)
    result.assert_outcomes(failed=1)
    assert said_of(result.outlines)[0] == f"{FILE}:6: it is not UTF-8"
    assert file.read_bytes() == data


@pytest.mark.parametrize("options", [(), ("--lens-update",)])
def test_too_large(run, file, options):
    with file.open("ab") as stream:
        stream.truncate(100 * 2**20)
    result = run(BEFORE, *options)
    result.assert_outcomes(failed=1)
    assert said_of(result.outlines)[0] == f"{FILE}: it has 100.0 MiB, more than the 64 of any snapshot"
    assert file.stat().st_size == 100 * 2**20


@pytest.mark.parametrize("options", [(), ("--lens-update",)])
def test_a_directory_in_its_place(run, pytester, options):
    (pytester.path / FILE).mkdir(parents=True)
    result = run(BEFORE, *options)
    result.assert_outcomes(failed=1)
    assert said_of(result.outlines)[0] == f"{FILE}: it is no regular file"
    assert (pytester.path / FILE).is_dir()


def test_windows_line_ends_are_no_change(run, file):
    data = file.read_bytes().replace(b"\n", b"\r\n")
    file.write_bytes(data)
    run(BEFORE).assert_outcomes(passed=1)
    run(BEFORE, "--lens-update").assert_outcomes(passed=1)
    assert file.read_bytes() == data
    run(AFTER, "--lens-update").assert_outcomes(passed=1)
    assert b"\r" not in file.read_bytes()


# -- what cannot be written --------------------------------------------------------------------------


def test_a_file_stands_where_the_folder_should(run, pytester, summary_of):
    (pytester.path / "__lens__").write_text("a file")
    assert said_of(run(BEFORE).outlines) == MISSING
    result = run(BEFORE, "--lens-update")
    result.assert_outcomes(failed=1)
    said = said_of(result.outlines)
    assert said[0].startswith(f"{FILE}: it cannot be written (")
    assert said[1:] == [
        "The snapshot was not written. Make its folder writable, or name another with --lens-snapshot-dir=DIR.",
        f"received: {RECEIVED}",
    ]
    assert summary_of(result) == ["0 snapshots compared, 1 not compared"]
    assert (pytester.path / "__lens__").read_text() == "a file"


def refusing(monkeypatch, *parts):
    """Let files in folders of such a name not be written."""
    replace = os.replace

    def refused(source, target):
        if any(part in str(target) for part in parts):
            raise PermissionError(13, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", refused)


def test_a_directory_that_refuses(run, file, pytester, monkeypatch):
    before = file.read_bytes()
    refusing(monkeypatch, "__lens__/test_it/test_graph")
    run(BEFORE, "--lens-update").assert_outcomes(passed=1)  # nothing to write
    result = run(AFTER, "--lens-update")
    result.assert_outcomes(failed=1)
    assert said_of(result.outlines)[0] == f"{FILE}: it cannot be written (Permission denied)"
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_cache_that_refuses(run, pytester, monkeypatch):
    refusing(monkeypatch, ".pytest_cache/d/lens")
    result = run(BEFORE)
    result.assert_outcomes(failed=1)
    received = "received: not left at {}, since it cannot be written (Permission denied)"
    assert said_of(result.outlines) == [MISSING[0], received.format(RECEIVED), MISSING[2]]
    run(BEFORE, "--lens-update").assert_outcomes(passed=1)
