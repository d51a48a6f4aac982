import pytest

from torchlens_core.draw.painting.colors import NAMED, contrast, is_color, rgba
from torchlens_core.draw.painting.themes import DARK, LIGHT, check_style, themes_of, tone_of, tone_of_depth
from torchlens_core.draw.sheet import CATEGORIES, Style
from torchlens_core.errors import ArgumentError

BOTH = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])


@BOTH
def test_text_is_read_on_its_fill(theme):
    for name, tone in theme.tones.items():
        for color in (tone.text, tone.soft, tone.accent):
            assert contrast(color, tone.fill) >= 4.5, (name, color)
        if name not in ("input", "output"):  # marks there have the accent's colour
            for ink in ("@repeat", "@loop"):
                assert contrast(theme.inks[ink], tone.fill) >= 4.5, (name, ink)


@BOTH
def test_text_is_read_on_paper_and_labels_on_frames(theme):
    for ink in ("@heading", "@subtitle", "@note", "@label"):
        assert contrast(theme.inks[ink], theme.paper) >= 4.5, ink
    for depth in range(5):
        for ink in ("@label", "@edge.back"):
            assert contrast(theme.inks[ink], theme.tones[f"depth{depth}"].fill) >= 4.5, (depth, ink)


def test_contrast_tells_what_cannot_be_read():
    assert contrast("#777777", "#888888") < 1.3
    assert round(contrast("#767676", "#fff"), 2) == 4.54  # the grey that WCAG's readers know


@BOTH
def test_every_category_and_change_has_a_tone(theme):
    for category in CATEGORIES:
        assert tone_of(category) in theme.tones
    for change in ("added", "removed", "changed", "same"):
        assert tone_of("linear", change) in theme.tones
    fills = {
        theme.tones[name].fill for name in "convolution linear normalization activation pooling".split()
    }
    assert len(fills) == 5


def test_frames_of_any_depth_have_a_tone():
    assert all(tone_of_depth(depth) in LIGHT.tones for depth in range(40))
    assert tone_of_depth(39) != tone_of_depth(40)


def test_unknown_theme():
    with pytest.raises(
        ArgumentError, match="Unknown theme 'sepia': expected one of 'auto', 'dark', 'light'"
    ):
        themes_of("sepia")


@pytest.mark.parametrize(
    "color",
    [
        "red",
        "RebeccaPurple",
        "#abc",
        "#abcd",
        "#a1b2c3",
        "#a1b2c3d4",
        "rgb(1,2,3)",
        "rgb(10% 20% 30% / 50%)",
        "rgba(1, 2, 3, .5)",
        "hsl(120, 50%, 50%)",
        "hsl(120deg 50% 50%)",
        "transparent",
    ],
)
def test_colors(color):
    assert is_color(color)
    assert all(0 <= part <= 1 for part in rgba(color))
    check_style(Style(fill=color, stroke=color, text=color, width=2.5), "box 'a'")


@pytest.mark.parametrize(
    "color",
    [
        "rood",
        "#12",
        "#12345",
        "#ggg",
        "url(#x)",
        "red;}</style><script>",
        "expression(1)",
        "var(--x)",
        "rgb(1,2)",
        "red ",
        "red\n",
        "currentColor",
        "#abc;",
        "rgb(1,2,3);",
        "١",
        "rgb(١,2,3)",
        7,
        None,
    ],
)
def test_what_is_no_color(color):
    with pytest.raises(
        ArgumentError, match=r"The style of box 'a' has stroke=.*which is no colour. Expected a CSS"
    ):
        check_style(Style(stroke=color), "box 'a'")


@pytest.mark.parametrize("width", [-1, 51, float("nan"), float("inf"), "2", True, None])
def test_what_is_no_width(width):
    with pytest.raises(ArgumentError, match=r"The style of frame 'f' has width=.* from 0"):
        check_style(Style(width=width), "frame 'f'")


def test_colors_have_the_parts_they_say():
    assert rgba("hsl(240 100% 50%)") == (0, 0, 1, 1)
    assert rgba("#0f08") == (0, 1, 0, 136 / 255)
    assert rgba("rgb(255 0 0 / 25%)") == (1, 0, 0, 0.25)
    assert rgba("transparent")[3] == 0
    assert len(NAMED) == 149
