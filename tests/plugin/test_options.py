"""``--lens-gallery`` and its twin in the ini file."""

import pytest

from pytest_torchlens.options import gallery_dir

LOG = "def test_relu(lens): lens(Doubled(), torch.ones(2))"
FAIL_IF_RUN = "def test_relu(lens): assert False, 'it was run'"


def test_none_by_default(pytester):
    assert gallery_dir(pytester.parseconfig()) is None


def test_the_option_is_relative_to_where_pytest_is_called(pytester):
    config = pytester.parseconfig("--lens-gallery=out/pictures")
    assert gallery_dir(config) == pytester.path / "out" / "pictures"


def test_an_absolute_path_stays(pytester, tmp_path):
    assert gallery_dir(pytester.parseconfig(f"--lens-gallery={tmp_path}")) == tmp_path


def test_the_ini_value_is_relative_to_the_ini_file(pytester, monkeypatch):
    pytester.makeini("[pytest]\nlens_gallery = out")
    monkeypatch.chdir(pytester.mkdir("deeper"))
    assert gallery_dir(pytester.parseconfig()) == pytester.path / "out"


def test_the_ini_file_may_lie_below_the_root(pytester):
    pytester.mkdir("config").joinpath("pytest.ini").write_text("[pytest]\nlens_gallery = out")
    config = pytester.parseconfig("-c", "config/pytest.ini", f"--rootdir={pytester.path}")
    assert gallery_dir(config) == pytester.path / "config" / "out"


def test_the_command_line_wins(pytester):
    pytester.makeini("[pytest]\nlens_gallery = out")
    assert gallery_dir(pytester.parseconfig("--lens-gallery=other")) == pytester.path / "other"


def test_the_ini_value_draws(run, pytester):
    pytester.makeini("[pytest]\nlens_gallery = out")
    run(LOG).assert_outcomes(passed=1)
    assert len(list((pytester.path / "out").glob("*.svg"))) == 1


def test_the_help_tells_of_both(pytester):
    result = pytester.runpytest_inprocess("--help")
    result.stdout.fnmatch_lines(["*--lens-gallery=DIR*", "*lens_gallery (string)*"])


@pytest.mark.parametrize("given", ["taken", "taken/deeper"])
@pytest.mark.parametrize("is_ini", [False, True])
def test_a_directory_that_cannot_be_written_to(run, pytester, given, is_ini):
    (pytester.path / "taken").write_text("a file")
    if is_ini:
        pytester.makeini(f"[pytest]\nlens_gallery = {given}")
    result = run(FAIL_IF_RUN, *([] if is_ini else [f"--lens-gallery={given}"]))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            f"ERROR: --lens-gallery={pytester.path / given}: pictures cannot be written there (*). "
            "Name a directory that can be made and written to."
        ]
    )
    result.stdout.no_fnmatch_line("*it was run*")


def test_a_directory_that_can_be_written_to_is_left_as_it_was(run, pytester):
    out = pytester.mkdir("out")
    (out / "own.txt").write_text("own")
    run(LOG, "--lens-gallery=out").assert_outcomes(passed=1)
    assert sorted(path.suffix for path in out.iterdir()) == [".html", ".svg", ".txt"]
    assert (out / "own.txt").read_text() == "own"
