"""pytest loads the plugin in every project: it imports nothing heavy until a test asks for it."""

import subprocess
import sys

import pytest

HEAVY = ["deepdiff", "graphviz", "jinja2", "numpy", "torch", "torchlens_core"]
TELL = f"import sys; print('heavy:', *[name for name in {HEAVY} if name in sys.modules])"


def imported_by(statement):
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{TELL}"], capture_output=True, text=True, check=True
    )
    return done.stdout.split()[1:]


def test_the_plugin_imports_nothing_heavy():
    assert imported_by("import pytest_torchlens.plugin") == []


def test_the_check_sees_what_is_imported():
    found = imported_by(
        "import pytest_torchlens.plugin, pytest_torchlens.session, pytest_torchlens.gallery.pages"
    )
    assert {"jinja2", "torch", "torchlens_core"} <= set(found)


@pytest.mark.parametrize(
    ("source", "options", "imported"),
    [
        ("", ["--collect-only"], []),
        ("def test_sum(): assert 1 + 1 == 2", [], []),
        ("import numpy\ndef test_sum(): assert 1 + 1 == 2", ["--collect-only"], ["numpy"]),
        ("def test_sum(): assert [1] == [1]\ndef test_wrong(): assert [1] == [2]", ["--lens-update"], []),
    ],
)
def test_a_project_that_does_not_use_it(pytester, source, options, imported):
    pytester.makepyfile(test_it=source)
    pytester.makeconftest(f"def pytest_unconfigure():\n    {TELL}")
    result = pytester.runpytest_subprocess(*options)
    result.stdout.fnmatch_lines(["plugins:*torchlens-*"])
    (line,) = [line for line in result.outlines if line.startswith("heavy:")]
    assert line.split()[1:] == imported


@pytest.mark.parametrize(
    ("options", "size", "is_imported"), [(["--lens-update"], 2, False), ([], 2, False), ([], 3, True)]
)
def test_snapshots_need_deepdiff_only_where_they_differ(run, pytester, options, size, is_imported):
    source = "def test_graph(lens, lens_snapshot): lens_snapshot.check(lens(Doubled(), torch.ones({})))"
    pytester.makeconftest(f"def pytest_unconfigure():\n    {TELL}")
    if not options:
        run(source.format(2), "--lens-update", fresh=True)
    result = run(source.format(size), *options, fresh=True)
    (line,) = [line for line in result.outlines if line.startswith("heavy:")]
    assert ("deepdiff" in line) is is_imported
