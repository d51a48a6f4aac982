"""Files that no test uses: told after a run of all tests, removed only if that is asked for."""

import os

import pytest
from plugin.snapshot_project import snapshots_in

THREE = """
def check(lens, lens_snapshot):
    lens_snapshot.check(lens(Doubled(), torch.ones(2)))

def test_a(lens, lens_snapshot): check(lens, lens_snapshot)
def test_b(lens, lens_snapshot): check(lens, lens_snapshot)
def test_c(lens, lens_snapshot): check(lens, lens_snapshot)
"""
WITHOUT_C = THREE.replace("def test_c", "def no_test_c")
FOLDER = "__lens__/test_it"
C = f"{FOLDER}/test_c.lens"
TOLD = f"1 snapshot obsolete (--lens-prune removes): {C}"


@pytest.fixture
def project(run, pytester):
    """Snapshots of all three are there."""
    run(THREE, "--lens-update").assert_outcomes(passed=3)
    return pytester.path


def told(result, summary_of):
    """What is said of leftovers."""
    return [line for line in summary_of(result) if "compared" not in line and "written" not in line]


# -- which -------------------------------------------------------------------------------------------


def test_none(run, project, summary_of):
    assert told(run(THREE), summary_of) == []
    assert told(run(THREE, "--lens-prune"), summary_of) == []
    assert len(snapshots_in(project)) == 3


def test_of_a_test_that_is_gone(run, project, summary_of):
    assert told(run(WITHOUT_C), summary_of) == [TOLD]
    assert C in snapshots_in(project)
    assert told(run(WITHOUT_C, "--lens-prune"), summary_of) == [f"1 snapshot obsolete and removed: {C}"]
    assert sorted(snapshots_in(project)) == [f"{FOLDER}/test_a.lens", f"{FOLDER}/test_b.lens"]
    assert told(run(WITHOUT_C, "--lens-prune"), summary_of) == []


NAMED = THREE.rstrip() + "; lens_snapshot.check(lens(Doubled(), torch.ones(2)), 'more')\n"


def test_of_a_check_that_is_gone(run, pytester, summary_of):
    run(NAMED, "--lens-update")
    more = f"{FOLDER}/test_c@more.lens"
    assert told(run(THREE), summary_of) == [f"1 snapshot obsolete (--lens-prune removes): {more}"]


@pytest.mark.parametrize(
    "not_passed", ["pytest.skip()", "pytest.xfail()", "assert False", "pytest.exit('enough')"]
)
def test_a_test_that_does_not_pass_may_use_its_files(run, project, summary_of, not_passed):
    body = "def test_c(lens, lens_snapshot): "
    result = run(THREE.replace(body, f"{body}{not_passed}; "), "--lens-prune")
    assert not any("obsolete" in line for line in told(result, summary_of))
    assert C in snapshots_in(project)
    control = run(THREE.replace(body, f"{body}return; "), "--lens-prune")
    assert told(control, summary_of) == [f"1 snapshot obsolete and removed: {C}"]


def test_a_test_whose_teardown_fails_did_not_pass(run, project, summary_of):
    source = """
        @pytest.fixture
        def broken():
            yield
            raise ValueError

        def test_c(broken): pass
    """
    assert "1 error" in run(WITHOUT_C + source.replace("\n        ", "\n")).outlines[-1]
    assert C in snapshots_in(project)
    assert told(run(WITHOUT_C + source.replace("\n        ", "\n"), "--lens-prune"), summary_of) == []


def test_of_a_module_that_is_gone(run, project, pytester, summary_of):
    os.rename(project / "test_it.py", project / "kept.txt")
    pytester.makepyfile(test_other="def test_sum(): assert 1 + 1 == 2")
    result = pytester.runpytest_inprocess()
    assert summary_of(result) == []  # nobody uses snapshots
    result = pytester.runpytest_inprocess("--lens-prune")
    assert summary_of(result) == [
        "3 snapshots obsolete and removed:",
        *(f"  {FOLDER}/test_{name}.lens" for name in "abc"),
    ]
    assert not (project / "__lens__").exists()
    assert (project / "kept.txt").exists()


@pytest.mark.parametrize(
    "skip",
    [
        "pytest.skip('no', allow_module_level=True)",
        "collect_ignore = ['test_it.py']",
        "--ignore=test_it.py",
    ],
)
def test_a_module_that_gave_no_test_says_nothing(run, project, pytester, summary_of, skip):
    source = (project / "test_it.py").read_text()
    uses = "def test_a(lens, lens_snapshot): lens_snapshot.check(lens(Doubled(), torch.ones(2)))"
    pytester.makepyfile(test_uses=source.partition("\n\n")[0] + f"\n\n{uses}")
    if skip.startswith("pytest"):
        (project / "test_it.py").write_text(f"import pytest\n{skip}\n")
    elif skip.startswith("collect"):
        pytester.makeconftest(skip)
    options = [skip] if skip.startswith("--") else []
    pytester.runpytest_inprocess("--lens-update", *options)
    result = pytester.runpytest_inprocess("--lens-prune", *options)
    assert told(result, summary_of) == []
    assert len(snapshots_in(project)) == 4
    (project / "test_it.py").unlink()
    assert len(told(pytester.runpytest_inprocess("--lens-prune", *options), summary_of)) == 4


def test_folders_that_are_empty_go(run, project):
    run("def test_sum(): pass", "--lens-prune")
    assert snapshots_in(project) == {}
    assert not (project / "__lens__").exists()
    assert (project / "test_it.py").exists()


def test_other_files_stay_with_their_folders(run, project, summary_of):
    (project / FOLDER / "notes.txt").write_text("own")
    run("def test_sum(): pass", "--lens-prune")
    assert os.listdir(project / FOLDER) == ["notes.txt"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-20],
        lambda text: text.replace("# lens graph 1", "# lens graph 2"),
        lambda text: text.replace("# test: ", "# tested: "),
        lambda text: "own\n",
    ],
)
def test_what_cannot_be_read_is_never_removed(run, project, summary_of, spoil):
    file = project / C
    spoiled = spoil(file.read_text())
    assert spoiled != file.read_text()
    file.write_text(spoiled)
    for options in ((), ("--lens-prune",)):
        assert told(run(WITHOUT_C, *options), summary_of) == [
            f"1 snapshot of unknown tests, left alone: {C}"
        ]
        assert file.read_text() == spoiled


def test_a_copy_is_obsolete_under_its_name(run, project, summary_of):
    copied = project / FOLDER / "copied.lens"
    copied.write_bytes((project / C).read_bytes())
    assert told(run(THREE, "--lens-prune"), summary_of) == [
        f"1 snapshot obsolete and removed: {FOLDER}/copied.lens"
    ]
    assert C in snapshots_in(project)


def test_a_link_is_left_alone(run, project, summary_of):
    os.rename(project / C, project / "elsewhere.lens")
    (project / C).symlink_to(project / "elsewhere.lens")
    assert told(run(WITHOUT_C, "--lens-prune"), summary_of) == [
        f"1 snapshot of unknown tests, left alone: {C}"
    ]
    assert (project / C).is_symlink()


def test_what_cannot_be_removed_is_told(run, project, summary_of, monkeypatch):
    unlink = type(project).unlink

    def refused(self, missing_ok=False):
        if self == project / C:
            raise PermissionError(13, "Permission denied")
        unlink(self, missing_ok)

    monkeypatch.setattr("pathlib.Path.unlink", refused)
    said = told(run(WITHOUT_C, "--lens-prune"), summary_of)
    assert said == [f"1 snapshot obsolete, and could not be removed: {C}"]


def test_in_a_directory_for_all(run, pytester, summary_of):
    kept = ("--lens-snapshot-dir=kept",)
    run(THREE, "--lens-update", *kept)
    path = "kept/test_it/test_c.lens"
    assert told(run(WITHOUT_C, *kept), summary_of) == [
        f"1 snapshot obsolete (--lens-prune removes): {path}"
    ]
    assert told(run(WITHOUT_C, "--lens-prune", *kept), summary_of) == [
        f"1 snapshot obsolete and removed: {path}"
    ]
    run("def test_sum(): pass", "--lens-prune", *kept)
    assert (pytester.path / "kept").is_dir()
    assert list((pytester.path / "kept").iterdir()) == []


# -- runs of some tests ------------------------------------------------------------------------------

DESELECTED = "tests were deselected"
NAMED_ONE_BY_ONE = "tests were named one by one"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("-k", "test_a"), DESELECTED),
        (("-m", "not slow"), DESELECTED),
        (("--deselect", "test_it.py::test_b"), DESELECTED),
        (("test_it.py::test_a", "test_it.py::test_b"), NAMED_ONE_BY_ONE),
        (("--lf",), "only the tests that failed last were wanted"),
        (("--sw",), "the run was not finished"),
        (("-x",), "not all tests were run"),
        (("--maxfail=1",), "not all tests were run"),
    ],
)
def test_nothing_is_told_or_removed(run, project, summary_of, options, reason):
    source = WITHOUT_C + "\n@pytest.mark.slow\ndef test_slow(): assert False\n\ndef test_z(): pass\n"
    if options == ("--sw",):
        run(source, *options)
    result = run(source, "--lens-prune", *options)
    assert told(result, summary_of) == [f"--lens-prune removed nothing: {reason}"]
    assert C in snapshots_in(project)
    assert told(run(source, *options), summary_of) == []
    assert told(run(source, "--lens-prune"), summary_of) == [f"1 snapshot obsolete and removed: {C}"]


def test_nothing_where_tests_are_only_listed(run, project, summary_of):
    assert summary_of(run(WITHOUT_C, "--lens-prune", "--collect-only")) == []
    assert C in snapshots_in(project)


def test_nothing_if_a_file_could_not_be_collected(run, project, pytester, summary_of):
    pytester.makepyfile(test_broken="import nowhere")
    result = run(WITHOUT_C, "--lens-prune", "--continue-on-collection-errors")
    assert told(result, summary_of) == ["--lens-prune removed nothing: a file could not be collected"]
    assert told(run(WITHOUT_C, "--lens-prune"), summary_of) == [
        "--lens-prune removed nothing: the run was not finished"
    ]
    assert C in snapshots_in(project)


def test_nothing_if_no_test_was_found(run, project, summary_of):
    result = run("", "--lens-prune")
    assert told(result, summary_of) == ["--lens-prune removed nothing: the run was not finished"]
    assert len(snapshots_in(project)) == 3


def test_nothing_if_a_conftest_takes_tests_away(run, project, pytester, summary_of):
    pytester.makeconftest("def pytest_collection_modifyitems(items): items[:] = items[:2]")
    assert told(run(THREE, "--lens-prune"), summary_of) == [f"--lens-prune removed nothing: {DESELECTED}"]
    assert C in snapshots_in(project)


def test_a_run_that_stops_after_its_last_test_is_whole(run, project, summary_of):
    source = WITHOUT_C + "\ndef test_z(): assert False\n"
    assert told(run(source, "--lens-prune", "-x"), summary_of) == [f"1 snapshot obsolete and removed: {C}"]


# -- only what was asked for -------------------------------------------------------------------------


@pytest.fixture
def two_folders(pytester, run):
    """Two folders with an obsolete snapshot each, and a test that uses another."""
    run("")
    head = (pytester.path / "test_it.py").read_text()
    for folder in ("one", "two"):
        path = pytester.mkdir(folder)
        (path / f"test_{folder}.py").write_text(head + THREE)
        (path / "test_more.py").write_text(head + THREE)
    (pytester.path / "test_it.py").unlink()
    pytester.makeini("[pytest]\naddopts = --import-mode=importlib\npythonpath = .")
    pytester.runpytest_inprocess("--lens-update").assert_outcomes(passed=12)
    for folder in ("one", "two"):
        for name in (f"test_{folder}", "test_more"):
            (pytester.path / folder / f"{name}.py").write_text(head + WITHOUT_C)
    return pytester.path


def obsolete_in(result, summary_of):
    return [line.strip().rpartition(": ")[2] for line in told(result, summary_of) if "test_c" in line]


ALL = [
    f"{folder}/__lens__/{name}/test_c.lens"
    for folder in ("one", "two")
    for name in ("test_more", "test_{}")
]
ALL = [path.format(path.partition("/")[0]) for path in ALL]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), ALL),
        ((".",), ALL),
        (("one",), ALL[:2]),
        (("one", "two"), ALL),
        (("two/test_two.py",), ALL[3:]),
        (("one/test_more.py", "two"), [ALL[0], *ALL[2:]]),
        (("one/../two",), ALL[2:]),
    ],
)
@pytest.mark.parametrize("kept", [(), ("--lens-snapshot-dir=kept",)])
def test_only_under_what_was_asked_for(two_folders, pytester, summary_of, args, expected, kept):
    if kept:
        for path in snapshots_in(two_folders):
            target = two_folders / "kept" / path.replace("__lens__/", "")
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(two_folders / path, target)
        expected = [f"kept/{path.replace('__lens__/', '')}" for path in expected]
    before = set(snapshots_in(two_folders))
    result = pytester.runpytest_inprocess(*args, *kept)
    assert obsolete_in(result, summary_of) == sorted(expected)
    pytester.runpytest_inprocess("--lens-prune", *args, *kept)
    assert before - set(snapshots_in(two_folders)) == set(expected)


def test_from_another_folder(two_folders, pytester, summary_of, monkeypatch):
    monkeypatch.chdir(two_folders / "one")
    result = pytester.runpytest_inprocess("../two", "--lens-prune")
    assert sorted(obsolete_in(result, summary_of)) == sorted(str(two_folders / path) for path in ALL[2:])
    result = pytester.runpytest_inprocess("--lens-prune")
    assert obsolete_in(result, summary_of) == [
        "__lens__/test_more/test_c.lens",
        "__lens__/test_one/test_c.lens",
    ]
    assert len(snapshots_in(two_folders)) == 8


@pytest.mark.parametrize("folder", [".hidden", "node_modules", "env"])
def test_folders_where_pytest_does_not_look(two_folders, pytester, summary_of, folder):
    os.rename(two_folders / "two", two_folders / folder)
    if folder == "env":
        (two_folders / folder / "pyvenv.cfg").touch()
    result = pytester.runpytest_inprocess("--lens-prune")
    assert obsolete_in(result, summary_of) == ALL[:2]
