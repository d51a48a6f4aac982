"""Marked model classes are tests: which are collected, under which name, and what pytest does with them."""

import pytest
from galleries import statuses_of

from pytest_torchlens.items import ModelItem, marks_of, own_marks

MARK = "@pytest.mark.lens_validate(inputs=(2,))"
NET = f"{MARK}\nclass Net(Doubled): pass\n"


def names(result):
    """The last parts of the ids that a run with ``-q --collect-only`` has listed."""
    return [line.partition("::")[2] for line in result.outlines if line.startswith("test_")]


# -- which are collected -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Net", "TestNet", "net", "_Net"])
def test_a_marked_class_of_any_name(run, name):
    result = run(NET.replace("Net", name), "-v", "-W", "error")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"test_it.py::{name} PASSED*"])


def test_an_invalid_one_fails(run):
    run(NET.replace("Doubled", "Numpy")).assert_outcomes(failed=1)


@pytest.mark.parametrize(
    "source",
    [
        "class Net(Doubled): pass",
        "@pytest.mark.skip\nclass Net(Doubled): pass",
        f"{MARK}\nclass Net: pass",
        "class Net(Doubled):\n    pytestmark = 'its own'",
        f"{MARK}\nclass Net(Doubled):\n    __test__ = False",
        f"def made():\n    {MARK}\n    class Net(Doubled): pass\n    return Net",
        f"class Nets:\n    {MARK}\n    class Net(Doubled): pass",  # pytest does not look into it
    ],
)
def test_others_are_no_tests(run, source):
    control = NET.replace("Net", "Control")
    assert names(run(f"{source}\n{control}", "-q", "--collect-only")) == ["Control"]


def test_a_mark_in_the_body_of_the_class(run):
    source = """
        class Net(Numpy):
            pytestmark = {}

            def forward(self, x):
                return super().forward(x)
    """
    run(source.format("pytest.mark.lens_validate(inputs=(2,))")).assert_outcomes(failed=1)
    run(source.format("[pytest.mark.skip, pytest.mark.lens_validate]")).assert_outcomes(skipped=1)


def test_subclasses_need_a_mark_of_their_own(run):
    source = (
        f"{NET}class Sub(Net): pass\n@pytest.mark.slow\nclass Slow(Net): pass\n{MARK}\nclass Own(Net): pass"
    )
    assert names(run(source, "-q", "--collect-only")) == ["Net", "Own"]


def test_the_own_mark_of_a_subclass_wins(run):
    source = """
        @pytest.mark.lens_validate(inputs=(2,))
        class Base(Numpy): pass

        @pytest.mark.lens_validate(inputs=(2,), checks="transparency")
        class Net(Base): pass
    """
    result = run(source, "-v")
    result.stdout.fnmatch_lines(["test_it.py::Base FAILED*", "test_it.py::Net PASSED*"])


def test_the_closest_of_stacked_marks_wins(run):
    source = """
        {}
        class Net(Numpy): pass
    """
    closest = 'pytest.mark.lens_validate(inputs=(2,), checks="transparency")'
    far = "pytest.mark.lens_validate(inputs=(2,))"
    run(source.format(f"@{far}\n        @{closest}")).assert_outcomes(passed=1)
    run(source.format(f"@{closest}\n        @{far}")).assert_outcomes(failed=1)
    run(f"pytestmark = {far}\n@{closest}\nclass Net(Numpy): pass").assert_outcomes(failed=0, passed=1)


def test_an_imported_class_is_a_test_of_its_own_file_alone(run, pytester):
    pytester.makepyfile(test_home=f"import pytest\nfrom nets import Doubled\n{NET}class TestNot: pass")
    source = (
        f"from test_home import Net, TestNot\nimport test_home\n{MARK}\nclass Mine(test_home.Net): pass"
    )
    result = run(source, "-q", "--collect-only", "-W", "error")
    assert [line for line in result.outlines if "::" in line] == ["test_home.py::Net", "test_it.py::Mine"]


def test_an_imported_test_class_brings_no_model(run, pytester):
    source = f"class TestNet:\n    {MARK}\n    class Net(Doubled): pass\n    def test_sum(self): pass"
    pytester.makepyfile(test_home=f"import pytest\nfrom nets import Doubled\n{source}")
    result = run("from test_home import TestNet", "-q", "--collect-only")
    assert [line for line in result.outlines if "::" in line] == [
        "test_home.py::TestNet::Net",
        "test_home.py::TestNet::test_sum",
        "test_it.py::TestNet::test_sum",
    ]


def test_odd_things_in_a_test_file_are_left_alone(run):
    result = run(
        f"""
        class Proxy:
            @property
            def __class__(self):
                raise RuntimeError("bound to nothing")

        proxy = Proxy()
        {NET.strip().replace(chr(10), chr(10) + " " * 8)}
        """
    )
    result.assert_outcomes(passed=1)


# -- names, files and lines --------------------------------------------------------------------------


def test_in_the_order_of_the_file(run):
    source = f"def test_a(): pass\n{NET}def test_b(): pass"
    assert names(run(source, "-q", "--collect-only")) == ["test_a", "Net", "test_b"]


def test_is_listed_as_what_it_is(run):
    run(NET, "--collect-only").stdout.fnmatch_lines(["*<ModelItem Net>"])


TWO = NET + "def test_net(lens): lens(Doubled(), torch.ones(2))\ndef test_other(): pass"


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        (("test_it.py::Net",), ["Net"]),
        (("-k", "net"), ["Net", "test_net"]),
        (("-k", "not Net"), ["test_other"]),
        (("-m", "lens_validate"), ["Net"]),
        (("-m", "not lens_validate"), ["test_net", "test_other"]),
        (("--deselect", "test_it.py::Net"), ["test_net", "test_other"]),
    ],
)
def test_is_selected_as_others_are(run, options, passed):
    assert names(run(TWO, "-q", "--collect-only", *options)) == passed


def item_of(pytester, source):
    return pytester.getitem(f"import pytest\nfrom torch import nn\n{source}", "Net")


def test_where_it_is(pytester):
    item = item_of(pytester, f"\n\n{MARK}\n@pytest.mark.slow\nclass Net(nn.ReLU): pass")
    assert isinstance(item, ModelItem)
    assert item.location == ("test_where_it_is.py", 4, "Net")
    assert item.model_class.__name__ == "Net"


def test_where_a_class_without_source_is(pytester):
    item = item_of(pytester, f"exec({f'{MARK}{chr(10)}class Net(nn.ReLU): pass'!r})")
    assert item.location == ("test_where_a_class_without_source_is.py", 0, "Net")


# -- marks -------------------------------------------------------------------------------------------


@pytest.mark.lens_validate(inputs=(1,))
@pytest.mark.slow
class Base:
    pass


@pytest.mark.lens_validate(inputs=(2,))
class Derived(Base):
    pass


class Odd:
    pytestmark = ("slow", 3)


def test_marks_of_its_own_go_before_those_of_bases():
    assert [mark.name for mark in own_marks(Base)] == ["slow", "lens_validate"]
    assert [mark.kwargs for mark in own_marks(Derived)] == [{"inputs": (2,)}]
    assert [(mark.name, mark.kwargs.get("inputs")) for mark in marks_of(Derived)] == [
        ("lens_validate", (2,)),
        ("slow", None),
        ("lens_validate", (1,)),
    ]
    assert marks_of(Odd) == []


@pytest.mark.parametrize(
    ("mark", "base", "outcome"),
    [
        ("skip", "Numpy", "skipped"),
        ("skipif(True, reason='so')", "Numpy", "skipped"),
        ("skipif(False, reason='so')", "Numpy", "failed"),
        ("xfail", "Numpy", "xfailed"),
        ("xfail", "Boom", "xfailed"),
        ("xfail", "Doubled", "xpassed"),
        ("xfail(strict=True)", "Doubled", "failed"),
        ("xfail(raises=ValueError)", "Boom", "xfailed"),
        ("xfail(raises=KeyError)", "Boom", "failed"),
        ("xfail(run=False)", "Boom", "xfailed"),
    ],
)
def test_skip_and_xfail(run, mark, base, outcome):
    source = NET.replace("Doubled", base)
    run(f"@pytest.mark.{mark}\n{source}").assert_outcomes(**{outcome: 1})
    run(f"pytestmark = pytest.mark.{mark}\n{source}").assert_outcomes(**{outcome: 1})
    run(f"@pytest.mark.{mark}\nclass Base({base}): pass\n{NET.replace('Doubled', 'Base')}").assert_outcomes(
        **{outcome: 1}
    )


# -- fixtures ----------------------------------------------------------------------------------------

FIXTURES = f"""
done = []

def setup_module(): done.append("module")
def setup_function(): done.append("function")

@pytest.fixture(autouse=True)
def around(request):
    done.append(request.node.name)
    yield
    done.append("over")

@pytest.fixture
def asked(monkeypatch):
    done.append("asked")

@pytest.mark.usefixtures("asked")
{NET}

def test_after():
    assert done == ["module", "function", "Net", "asked", "over", "function", "test_after"]
"""


def test_fixtures_set_it_up(run):
    run(FIXTURES).assert_outcomes(passed=2)
    run(FIXTURES.replace('@pytest.mark.usefixtures("asked")', "")).assert_outcomes(passed=1, failed=1)


def test_in_a_test_class(run):
    result = run(
        f"""
        class TestNets:
            def setup_method(self, method):
                self.state = ["set up"]

            @pytest.fixture(autouse=True)
            def around(self, request):
                assert request.instance is self
                assert self.state == ["set up"]
                self.state.append(request.node.name)
                yield
                assert self.state == ["set up", request.node.name]

            {MARK}
            class Net(Doubled):
                pass

            {MARK}
            class Wrong(Numpy):
                pass

            def test_net(self):
                assert self.state == ["set up", "test_net"]
        """,
        "-v",
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["test_it.py::TestNets::Net PASSED*", "test_it.py::TestNets::Wrong FAILED*"]
    )


def test_a_fixture_that_fails_is_an_error(run):
    result = run(f"@pytest.fixture(autouse=True)\ndef broken(): raise ValueError('broken')\n{NET}")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E*ValueError: broken", "ERROR test_it.py::Net - ValueError: broken"])


def test_a_parametrized_fixture_fails_its_setup(run):
    source = f"@pytest.fixture(autouse=True{{}})\ndef each(request): pass\n{NET}"
    result = run(source.format(", params=[1, 2]"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*The requested fixture has no parameter defined for test*"])
    run(source.format("")).assert_outcomes(passed=1)


def test_without_the_terminal_reporter(run, pytester):
    run(NET, "-p", "no:terminalreporter", "--junitxml=junit.xml")
    assert 'tests="1"' in (pytester.path / "junit.xml").read_text()


def test_is_drawn_and_counted_like_others(run, pytester, summary_of):
    result = run(NET + NET.replace("Net", "Wrong").replace("Doubled", "Numpy"), "--lens-gallery=out")
    index = pytester.path / "out" / "index.html"
    assert summary_of(result) == [
        "2 forward passes of 2 tests logged, 1 validated, 1 not valid",
        f"2 graphs drawn in {index}",
    ]
    assert statuses_of(index.parent) == {"Net": ["passed", "validated"], "Wrong": ["failed", "not valid"]}
