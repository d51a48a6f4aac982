"""``--lens-gallery``, ``--lens-checks`` and the like, and their twins in the ini file."""

import pytest
from galleries import cards_of

from pytest_torchlens.arguments import VALIDATION
from pytest_torchlens.options import Snapshots, gallery_dir, snapshot_dir, snapshots, validation
from torchlens_core.validate import CHECKS

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
    assert cards_of(pytester.path / "out").keys() == {"test_relu"}


def test_the_help_tells_of_both(pytester):
    result = pytester.runpytest_inprocess("--help")
    result.stdout.fnmatch_lines(["*--lens-gallery=DIR*", "*lens_gallery (string)*"])
    for name in VALIDATION:
        result.stdout.fnmatch_lines([f"*--lens-{name}=*", f"*lens_{name} (*"])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("taken", "there is a file of that name"),
        ("taken/deeper", "it cannot be written (Not a directory)"),
        ("/proc/out", "it cannot be written (No such file or directory)"),
        ("others", "it holds index.html, models of something else, which would be lost"),
        ("newer", "its format is 2, and this version writes 1"),
    ],
)
@pytest.mark.parametrize("is_ini", [False, True])
def test_a_directory_that_cannot_be_a_gallery(run, pytester, given, why, is_ini):
    (pytester.path / "others" / "models").mkdir(parents=True)
    (pytester.path / "others" / "index.html").write_text("own")
    (pytester.path / "newer").mkdir()
    (pytester.path / "newer" / "lens-gallery.json").write_text('{"format": 2}')
    (pytester.path / "taken").write_text("a file")
    if is_ini:
        pytester.makeini(f"[pytest]\nlens_gallery = {given}")
    result = run(FAIL_IF_RUN, *([] if is_ini else [f"--lens-gallery={given}"]))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            f"ERROR: --lens-gallery={pytester.path / given}: {why}. "
            "Name a directory that is empty, or holds a gallery."
        ]
    )
    result.stdout.no_fnmatch_line("*it was run*")
    assert (pytester.path / "others" / "index.html").read_text() == "own"


def test_a_directory_that_can_be_written_to_is_left_as_it_was(run, pytester):
    out = pytester.mkdir("out")
    (out / "own.txt").write_text("own")
    run(LOG, "--lens-gallery=out").assert_outcomes(passed=1)
    names = "assets cards.js index.html lens-gallery.json models own.txt report.json"
    assert " ".join(sorted(path.name for path in out.iterdir())) == names
    assert (out / "own.txt").read_text() == "own"


# -- snapshots ---------------------------------------------------------------------------------------

NOTHING = {"update": None, "prune": False, "strict": False, "details": False}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], {}),
        (["--lens-update"], {"update": "all"}),
        (["--lens-update=all"], {"update": "all"}),
        (["--lens-update=new"], {"update": "new"}),
        (["--lens-update", "test_it.py"], {"update": "all"}),
        (["--lens-prune"], {"prune": True}),
        (["--lens-strict"], {"strict": True}),
        (["--lens-details"], {"details": True}),
        (["-o", "lens_strict=yes", "-o", "lens_details=1"], {"strict": True, "details": True}),
        (["-o", "lens_strict=no"], {}),
    ],
)
def test_what_is_said_of_snapshots(pytester, options, said):
    config = pytester.parseconfig(*options)
    assert snapshots(config) == Snapshots(**{**NOTHING, **said})
    assert [arg for arg in config.args if arg == "test_it.py"] == options[1:2] * ("test_it.py" in options)


def test_flags_in_the_ini_file(pytester):
    pytester.makeini("[pytest]\nlens_strict = true\nlens_details = false")
    assert snapshots(pytester.parseconfig()) == Snapshots(**{**NOTHING, "strict": True})
    assert snapshots(pytester.parseconfig("--lens-details")).details


@pytest.mark.parametrize("name", ["lens_update", "lens_prune"])
def test_no_ini_file_lets_files_be_written_or_removed(pytester, name):
    pytester.makepyfile(test_it="def test_sum(): pass")
    pytester.makeini(f"[pytest]\n{name} = all")
    result = pytester.runpytest_inprocess()
    assert any(f"Unknown config option: {name}" in line for line in result.outlines)
    assert snapshots(pytester.parseconfig()) == Snapshots(**NOTHING)


@pytest.mark.parametrize("value", ["bogus", "", "All"])
def test_another_way_to_update_is_a_usage_error(run, value):
    result = run(FAIL_IF_RUN, f"--lens-update={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert any(
        "argument --lens-update/--lens-update=all: ignored explicit argument" in line
        for line in result.errlines
    )
    result.stdout.no_fnmatch_line("*it was run*")


def test_the_help_tells_of_snapshots(pytester):
    text = " ".join(" ".join(pytester.runpytest_inprocess("--help").outlines).split())
    for option in (
        "--lens-update, --lens-update=all write",
        "--lens-update=new write",
        "--lens-prune remove",
    ):
        assert f"{option} " in text
    for name in ("strict", "details"):
        assert f"--lens-{name} " in text
        assert f"lens_{name} (bool): the value of --lens-{name}" in text
    assert "--lens-snapshot-dir=DIR keep snapshots in DIR" in text
    assert "lens_snapshot_dir (string): the directory of --lens-snapshot-dir" in text
    assert "so it has no twin in the ini file" in text


def test_where_snapshots_are_kept(pytester, monkeypatch):
    root = pytester.path
    monkeypatch.chdir(pytester.mkdir("below"))
    assert snapshot_dir(pytester.parseconfig()) is None
    assert snapshot_dir(pytester.parseconfig("--lens-snapshot-dir=../kept")) == root / "kept"
    pytester.makeini("[pytest]\nlens_snapshot_dir = kept/here")
    assert snapshot_dir(pytester.parseconfig()) == root / "kept" / "here"
    assert snapshot_dir(pytester.parseconfig("--lens-snapshot-dir=kept")) == root / "below" / "kept"


@pytest.mark.parametrize("is_ini", [False, True])
def test_a_file_is_no_directory_for_snapshots(run, pytester, is_ini):
    (pytester.path / "taken").write_text("a file")
    if is_ini:
        pytester.makeini("[pytest]\nlens_snapshot_dir = taken")
    result = run(FAIL_IF_RUN, *([] if is_ini else ["--lens-snapshot-dir=taken"]))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.errlines[0] == (
        f"ERROR: --lens-snapshot-dir={pytester.path / 'taken'}: there is a file of that name. Name a directory."
    )
    assert run(FAIL_IF_RUN, "--lens-snapshot-dir=new").ret == pytest.ExitCode.TESTS_FAILED
    assert not (pytester.path / "new").exists()


# -- the arguments of a validation -------------------------------------------------------------------

ALL = list(CHECKS)
KNOWN = f"The checks are {', '.join(map(repr, CHECKS))}."
NUMBER = "expected a finite number, 0 or more."
TEXTS = {"rtol": "1e-3", "atol": "2", "grad": "no", "seed": "-3"}
VALUES = {"rtol": 1e-3, "atol": 2.0, "grad": False, "seed": -3}


def ini(texts):
    return "\n".join(["[pytest]", *(f"lens_{name} = {text}" for name, text in texts.items())])


def test_nothing_is_said_by_default(pytester):
    assert validation(pytester.parseconfig()) == {}


def test_on_the_command_line(pytester):
    given = [f"--lens-{name}={text}" for name, text in TEXTS.items()]
    assert validation(pytester.parseconfig(*given)) == VALUES


def test_in_the_ini_file(pytester):
    pytester.makeini(ini(TEXTS))
    assert validation(pytester.parseconfig()) == VALUES


def test_the_command_line_wins_for_each_argument(pytester):
    pytester.makeini(ini(TEXTS))
    given = validation(pytester.parseconfig("--lens-rtol=5", "--lens-grad=auto"))
    assert given == {**VALUES, "rtol": 5.0, "grad": None}


def test_an_ini_value_by_the_option_o(pytester):
    assert validation(pytester.parseconfig("-o", "lens_seed=7")) == {"seed": 7}


def test_an_empty_ini_value_is_none(pytester):
    pytester.makeini(ini(dict.fromkeys(["checks", *TEXTS], "")))
    assert validation(pytester.parseconfig()) == {}


@pytest.mark.parametrize("text", ["{0}", "{0},{1}", "{0}, {1}", "{0} {1}", "{0}\n  {1}", "\n  {0},\n  {1}"])
def test_checks_are_parted_by_commas_spaces_and_lines(pytester, text):
    written = text.format(*ALL)
    named = {"checks": [name for name in ALL if name in written]}
    assert len(named["checks"]) == text.count("{")
    assert validation(pytester.parseconfig(f"--lens-checks={written}")) == named
    pytester.makeini(ini({"checks": written}))
    assert validation(pytester.parseconfig()) == named


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rtol", "-1", f": {NUMBER}"),
        ("rtol", "nan", f": {NUMBER}"),
        ("rtol", "much", f": {NUMBER}"),
        ("atol", "inf", f": {NUMBER}"),
        ("grad", "maybe", ": expected yes, no or auto."),
        ("grad", "True", ": expected yes, no or auto."),
        ("seed", "3.5", ": expected an int of 64 bits."),
        ("seed", str(2**64), ": expected an int of 64 bits."),
        ("checks", "reply", f" names 'reply', which is no check. {KNOWN}"),
        ("checks", f"{ALL[0]}, reply", f" names 'reply', which is no check. {KNOWN}"),
        ("checks", ",", f" names no check. {KNOWN}"),
    ],
)
def test_other_values_are_usage_errors(run, pytester, name, text, message):
    result = run(FAIL_IF_RUN, f"--lens-{name}={text}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.errlines == [f"ERROR: --lens-{name}={text}{message}", ""]
    result.stdout.no_fnmatch_line("*it was run*")
    pytester.makeini(ini({name: text}))
    result = run(FAIL_IF_RUN)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.errlines == [f"ERROR: the ini value lens_{name} = {text}{message}", ""]


@pytest.mark.parametrize("name", ["checks", *TEXTS])
def test_an_empty_option_is_a_usage_error(run, name):
    result = run(FAIL_IF_RUN, f"--lens-{name}=")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.errlines[0].startswith(f"ERROR: --lens-{name}=")


def test_good_values_let_it_run(run):
    result = run(
        FAIL_IF_RUN, "--lens-rtol=1", "--lens-seed=1", "--lens-grad=yes", f"--lens-checks={ALL[0]}"
    )
    result.stdout.fnmatch_lines(["*it was run*"])


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="no such file before")
def test_a_value_of_toml_that_is_no_text(run, pytester):
    pytester.path.joinpath("pytest.toml").write_text("[pytest]\nlens_rtol = 0.5")
    result = run(FAIL_IF_RUN)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line]
    assert "config option 'lens_rtol' expects a string, got float: 0.5" in line


def test_a_list_of_toml(pytester):
    pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\nlens_checks = {ALL}\nlens_rtol = 0.5")
    assert validation(pytester.parseconfig()) == {"checks": ALL, "rtol": 0.5}


# Counter fails the check of transparency alone, so it tells which settings were followed.
COUNT = """
    @pytest.mark.lens_validate{}
    def test_count(lens):
        lens(Counter(), torch.ones(2))
"""


def test_options_are_followed(run, pytester):
    run(COUNT.format("")).assert_outcomes(failed=1)
    run(COUNT.format(""), "--lens-checks=replay").assert_outcomes(passed=1)
    run(COUNT.format(""), "--lens-atol=9", "--lens-checks=transparency").assert_outcomes(passed=1)
    pytester.makeini(ini({"checks": "replay"}))
    run(COUNT.format("")).assert_outcomes(passed=1)
    run(COUNT.format(""), "--lens-checks=transparency").assert_outcomes(failed=1)


def test_unmarked_tests_are_not_validated_for_an_option(run):
    run("def test_net(lens): lens(Numpy(), torch.ones(2))", "--lens-rtol=0").assert_outcomes(passed=1)
    run(COUNT.format(""), "--lens-rtol=0").assert_outcomes(failed=1)
