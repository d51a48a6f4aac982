"""CSS colours: which texts are one, their parts, and how well one is read upon another."""

from __future__ import annotations

import colorsys
import re

#: The named colours of CSS Color 4 in hexadecimal digits.
NAMED = {
    name: f"#{digits}"
    for name, digits in (
        pair.split(":")
        for pair in """
aliceblue:f0f8ff antiquewhite:faebd7 aqua:00ffff aquamarine:7fffd4 azure:f0ffff beige:f5f5dc
bisque:ffe4c4 black:000000 blanchedalmond:ffebcd blue:0000ff blueviolet:8a2be2 brown:a52a2a
burlywood:deb887 cadetblue:5f9ea0 chartreuse:7fff00 chocolate:d2691e coral:ff7f50 cornflowerblue:6495ed
cornsilk:fff8dc crimson:dc143c cyan:00ffff darkblue:00008b darkcyan:008b8b darkgoldenrod:b8860b
darkgray:a9a9a9 darkgreen:006400 darkgrey:a9a9a9 darkkhaki:bdb76b darkmagenta:8b008b
darkolivegreen:556b2f darkorange:ff8c00 darkorchid:9932cc darkred:8b0000 darksalmon:e9967a
darkseagreen:8fbc8f darkslateblue:483d8b darkslategray:2f4f4f darkslategrey:2f4f4f darkturquoise:00ced1
darkviolet:9400d3 deeppink:ff1493 deepskyblue:00bfff dimgray:696969 dimgrey:696969 dodgerblue:1e90ff
firebrick:b22222 floralwhite:fffaf0 forestgreen:228b22 fuchsia:ff00ff gainsboro:dcdcdc ghostwhite:f8f8ff
gold:ffd700 goldenrod:daa520 gray:808080 green:008000 greenyellow:adff2f grey:808080 honeydew:f0fff0
hotpink:ff69b4 indianred:cd5c5c indigo:4b0082 ivory:fffff0 khaki:f0e68c lavender:e6e6fa
lavenderblush:fff0f5 lawngreen:7cfc00 lemonchiffon:fffacd lightblue:add8e6 lightcoral:f08080
lightcyan:e0ffff lightgoldenrodyellow:fafad2 lightgray:d3d3d3 lightgreen:90ee90 lightgrey:d3d3d3
lightpink:ffb6c1 lightsalmon:ffa07a lightseagreen:20b2aa lightskyblue:87cefa lightslategray:778899
lightslategrey:778899 lightsteelblue:b0c4de lightyellow:ffffe0 lime:00ff00 limegreen:32cd32 linen:faf0e6
magenta:ff00ff maroon:800000 mediumaquamarine:66cdaa mediumblue:0000cd mediumorchid:ba55d3
mediumpurple:9370db mediumseagreen:3cb371 mediumslateblue:7b68ee mediumspringgreen:00fa9a
mediumturquoise:48d1cc mediumvioletred:c71585 midnightblue:191970 mintcream:f5fffa mistyrose:ffe4e1
moccasin:ffe4b5 navajowhite:ffdead navy:000080 oldlace:fdf5e6 olive:808000 olivedrab:6b8e23
orange:ffa500 orangered:ff4500 orchid:da70d6 palegoldenrod:eee8aa palegreen:98fb98 paleturquoise:afeeee
palevioletred:db7093 papayawhip:ffefd5 peachpuff:ffdab9 peru:cd853f pink:ffc0cb plum:dda0dd
powderblue:b0e0e6 purple:800080 rebeccapurple:663399 red:ff0000 rosybrown:bc8f8f royalblue:4169e1
saddlebrown:8b4513 salmon:fa8072 sandybrown:f4a460 seagreen:2e8b57 seashell:fff5ee sienna:a0522d
silver:c0c0c0 skyblue:87ceeb slateblue:6a5acd slategray:708090 slategrey:708090 snow:fffafa
springgreen:00ff7f steelblue:4682b4 tan:d2b48c teal:008080 thistle:d8bfd8 tomato:ff6347 turquoise:40e0d0
violet:ee82ee wheat:f5deb3 white:ffffff whitesmoke:f5f5f5 yellow:ffff00 yellowgreen:9acd32
transparent:00000000
""".split()
    )
}
_NUMBER = r"[+-]?(?:\d{1,4}(?:\.\d{0,6})?|\.\d{1,6})"
_COLOR = re.compile(
    r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})"
    rf"|(?:rgb|hsl)a?\( *{_NUMBER}(?:%|deg)?(?:(?: *, *| +){_NUMBER}%?){{2}}(?: *[,/] *{_NUMBER}%?)? *\)",
    re.IGNORECASE | re.ASCII,
)


def is_color(text: str) -> bool:
    """Whether ``text`` is a CSS colour by name, in hexadecimal digits, ``rgb()`` or ``hsl()``.

    >>> is_color("Tomato"), is_color("hsl(120 50% 50%)"), is_color("url(#a)")
    (True, True, False)
    """
    return text.lower() in NAMED or _COLOR.fullmatch(text) is not None


def rgba(color: str) -> tuple[float, float, float, float]:
    """Red, green, blue and opacity, from 0 to 1, of a CSS colour that `is_color` takes.

    >>> rgba("#ff000080")[0], rgba("hsl(120, 100%, 50%)")[:3]
    (1.0, (0.0, 1.0, 0.0))
    """
    text = color.lower()
    if text in ("transparent", "none"):
        return 0.0, 0.0, 0.0, 0.0
    text = NAMED.get(text, text)
    if text.startswith("#"):
        digits = text[1:] if len(text) > 5 else "".join(2 * digit for digit in text[1:])
        red, green, blue, *rest = (int(digits[at : at + 2], 16) / 255 for at in range(0, len(digits), 2))
        return red, green, blue, rest[0] if rest else 1.0
    values = re.findall(rf"({_NUMBER})(%?)", text)
    opacity = _share(values[3][0], values[3][1], 1.0) if len(values) > 3 else 1.0
    if text.startswith("hsl"):
        hue, saturation, lightness = (float(value) for value, _ in values[:3])
        return (
            *colorsys.hls_to_rgb(hue / 360 % 1, _unit(lightness / 100), _unit(saturation / 100)),
            opacity,
        )
    red, green, blue = (_share(value, percent, 255.0) for value, percent in values[:3])
    return red, green, blue, opacity


def contrast(one: str, other: str) -> float:
    """The contrast of two opaque colours, from 1 to 21, as WCAG 2.2 defines it.

    >>> round(contrast("#fff", "black"), 1)
    21.0
    """
    darker, lighter = sorted(_luminance(color) for color in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    linear = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgba(color)[:3]
    )
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _share(value: str, percent: str, whole: float) -> float:
    return _unit(float(value) / (100 if percent else whole))


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0)
