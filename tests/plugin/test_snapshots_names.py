"""File names of snapshots: safe everywhere, and no two tests share one."""

import re
import subprocess

import pytest

from pytest_torchlens.snapshots.names import (
    LONGEST,
    fault_in_name,
    file_name,
    file_stem,
    fingerprint,
    local_id,
    quoted,
)

LONG = "test_" + "x" * LONGEST


@pytest.mark.parametrize(
    ("test", "stem"),
    [
        ("test_net.py::test_graph", "test_graph"),
        ("tests/unit/test_net.py::test_graph", "test_graph"),
        ("test_net.py::TestNet::test_graph", "TestNet.test_graph"),
        ("test_net.py::TestNet::TestInner::test_graph", "TestNet.TestInner.test_graph"),
        ("test_net.py::test_graph[relu]", "test_graph-relu"),
        ("test_net.py::test_graph[2-0.5]", "test_graph-2-0.5"),
        ("test_net.py::TestNet::test_graph[a]", "TestNet.test_graph-a"),
        ("test_net.py::test_graph[]", "test_graph-"),
    ],
)
def test_plain_names(test, stem):
    assert file_stem(test) == stem


@pytest.mark.parametrize(
    ("test", "stem"),
    [
        ("test_net.py::test_graph[a/b]", "test_graph-a_b"),
        ("test_net.py::test_graph[../../x]", "test_graph-.._.._x"),
        ("test_net.py::test_graph[a::b]", "test_graph-a__b"),
        ("test_net.py::test_graph[a[0]]", "test_graph-a_0_"),
        ("test_net.py::test_größe", "test_gr__e"),
        ("test_net.py::test_graph[ReLU]", "test_graph-ReLU"),
        ("test_net.py::test_Graph", "test_Graph"),
        ("test_net.py::nul", "_nul"),
        ("test_net.py::aux::test_graph", "_aux.test_graph"),
        (f"test_net.py::{LONG}", LONG[: LONGEST - 9]),
    ],
)
def test_what_may_not_be_its_own_ends_in_a_fingerprint(test, stem):
    assert file_stem(test) == f"{stem}-{fingerprint(test)}"
    assert len(file_stem(test)) <= LONGEST


def test_as_long_as_may_be():
    longest = f"test_net.py::{LONG[:LONGEST]}"
    assert file_stem(longest) == LONG[:LONGEST]
    assert file_stem(longest + "y") != file_stem(longest + "z")


def test_upper_case_of_classes_is_left():
    assert file_stem("test_net.py::Net", is_class=True) == "Net"
    assert file_stem("test_net.py::TestNets::Net", is_class=True) == "TestNets.Net"
    assert file_stem("test_net.py::Net") != "Net"


def test_the_folder_does_not_count():
    tests = ["test_net.py::test_graph[a/b]", "tests/test_net.py::test_graph[a/b]"]
    assert len({file_stem(test) for test in tests}) == 1
    assert len({local_id(test) for test in tests}) == 1
    assert file_stem("other.py::test_graph[a/b]") != file_stem(tests[0])


@pytest.mark.parametrize(
    "names",
    [
        ["test_graph[a/b]", "test_graph[a_b]", "test_graph[a b]", "test_graph[a:b]"],
        ["test_graph[a]", "test_graph[A]", "test_Graph[a]"],
        ["Test::test_graph[b]", "Test::test_graph", "test_graph[b]", "test_graph[]", "test_graph"],
        [f"{LONG}[1]", f"{LONG}[2]", LONG],
        ["con", "_con", "CON"],
    ],
)
def test_no_two_tests_share_a_file(names):
    stems = [file_stem(f"test_net.py::{name}").lower() for name in names]
    assert len(set(stems)) == len(names)


@pytest.mark.parametrize(
    "odd", ['"', "*", ":", "<", ">", "?", "|", "\\", "/", "\0", "\n", " ", "é", "\ud800"]
)
def test_no_name_has_an_odd_character(odd):
    stem = file_stem(f"test_net.py::test_graph[{odd}]")
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", stem)


@pytest.mark.parametrize(("check", "name"), [("", "t.lens"), ("2", "t@2.lens"), ("enc.0", "t@enc.0.lens")])
def test_a_file_for_each_check(check, name):
    assert file_name("t", check) == name


# -- names of checks ---------------------------------------------------------------------------------

EXPECTED = "Expected up to 40 letters, digits, '_', '-' and '.'."
KEPT = "which some file systems keep for themselves. Choose another."


@pytest.mark.parametrize("name", ["encoder", "Encoder-2", "a.b_c", "2x", "x" * 40, "cons", "a.."])
def test_good_names_of_checks(name):
    assert fault_in_name(name) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", f"has name=''. {EXPECTED}"),
        ("../x", f"has name='../x'. {EXPECTED}"),
        ("a/b", f"has name='a/b'. {EXPECTED}"),
        ("a\\b", f"has name='a\\\\b'. {EXPECTED}"),
        ("a\n", f"has name='a\\n'. {EXPECTED}"),
        ("a b", f"has name='a b'. {EXPECTED}"),
        ("é", f"has name='é'. {EXPECTED}"),
        ("x" * 41, f"has name='{'x' * 12}...{'x' * 13}'. {EXPECTED}"),
        (3, f"has name=3. {EXPECTED}"),
        (b"a", f"has name=b'a'. {EXPECTED}"),
        (".", f"has name='.', {KEPT}"),
        ("..", f"has name='..', {KEPT}"),
        ("CON", f"has name='CON', {KEPT}"),
        ("nul.x", f"has name='nul.x', {KEPT}"),
        ("2", "has name='2', but numbers are for checks without a name. Choose a name with a letter."),
    ],
)
def test_other_names_of_checks(name, message):
    assert fault_in_name(name) == message


# -- commands ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "test_a.py::test",
        "test[a b]",
        "test['a']",
        'test["a"]',
        "test[$HOME]",
        "test[`ls`]",
        "test[a\\b]",
        "t[!x]",
        "*",
    ],
)
def test_a_shell_reads_a_quoted_word_as_it_is(text):
    done = subprocess.run(
        ["bash", "-c", f"printf %s {quoted(text)}"], capture_output=True, text=True, check=True
    )
    assert done.stdout == text


def test_double_quotes_where_they_do():
    assert quoted("test[a b]") == '"test[a b]"'
    assert quoted("test[$a]") == "'test[$a]'"
