"""Longest common subsequences of two lists of keys, for lists that differ little."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Sequence

#: Lists that differ in more places between two keys that each has once are aligned there as it comes.
MAX_DIFFERENCES = 300
#: Keys that a greedy alignment may leave out for one that fits.
MAX_STEP = 16


def common_subsequence(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Pairs of positions with equal keys, in order on both sides, nearly as many as there can be.

    Keys that stand once on each side come first, as in Bram Cohen's patience diff; between them E. W. Myers,
    "An O(ND) difference algorithm and its variations", Algorithmica 1 (1986), whose time and memory grow with
    the number of differences. What differs in more than `MAX_DIFFERENCES` places is aligned greedily.

    >>> common_subsequence("abcd", "axcd")
    [(0, 0), (2, 2), (3, 3)]
    """
    start = 0
    shorter = min(len(old), len(new))
    while start < shorter and old[start] == new[start]:
        start += 1
    end = 0
    while end < shorter - start and old[-1 - end] == new[-1 - end]:
        end += 1
    inner = _inner(old[start : len(old) - end], new[start : len(new) - end])
    return [
        *((n, n) for n in range(start)),
        *((a + start, b + start) for a, b in inner),
        *((len(old) - n, len(new) - n) for n in range(end, 0, -1)),
    ]


def _inner(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    if not old or not new:
        return []
    shared = set(old) & set(new)
    if not shared:
        return []
    # what the other side has not at all cannot be matched, and would only count as differences
    left = [n for n, key in enumerate(old) if key in shared]
    right = [n for n, key in enumerate(new) if key in shared]
    old, new = [old[n] for n in left], [new[n] for n in right]
    found: list[tuple[int, int]] = []
    start, begin = 0, 0
    for a, b in [*_unique(old, new), (len(old), len(new))]:
        between = _myers(old[start:a], new[begin:b])
        found += [(x + start, y + begin) for x, y in between]
        if a < len(old):
            found.append((a, b))
        start, begin = a + 1, b + 1
    return [(left[a], right[b]) for a, b in found]


def _myers(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    if not old or not new:
        return []
    furthest = {1: 0}
    trace: list[dict[int, int]] = []
    for distance in range(min(len(old) + len(new), MAX_DIFFERENCES) + 1):
        trace.append(dict(furthest))
        for diagonal in range(-distance, distance + 1, 2):
            is_down = diagonal == -distance or (
                diagonal != distance and furthest[diagonal - 1] < furthest[diagonal + 1]
            )
            x = furthest[diagonal + 1] if is_down else furthest[diagonal - 1] + 1
            y = x - diagonal
            while x < len(old) and y < len(new) and old[x] == new[y]:
                x, y = x + 1, y + 1
            furthest[diagonal] = x
            if x >= len(old) and y >= len(new):
                return _backwards(trace, len(old), len(new))
    return _greedy(old, new)


def _backwards(trace: Sequence[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    pairs = []
    for distance in range(len(trace) - 1, -1, -1):
        furthest, diagonal = trace[distance], x - y
        is_down = diagonal == -distance or (
            diagonal != distance and furthest[diagonal - 1] < furthest[diagonal + 1]
        )
        before = diagonal + 1 if is_down else diagonal - 1
        begin = furthest[before]
        while x > begin and y > begin - before:
            x, y = x - 1, y - 1
            pairs.append((x, y))
        x, y = begin, begin - before
    return pairs[::-1]


def _greedy(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Each key with the next equal one on the other side, if it is near."""
    places: dict[Hashable, list[int]] = {}
    for n, key in enumerate(new):
        places.setdefault(key, []).append(n)
    pairs: list[tuple[int, int]] = []
    start = 0
    for n, key in enumerate(old):
        found = places.get(key, [])
        at = bisect_left(found, start)
        if at < len(found) and found[at] - start <= MAX_STEP:
            pairs.append((n, found[at]))
            start = found[at] + 1
    return pairs


def _unique(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    counts, others = Counter(old), Counter(new)
    places = {key: n for n, key in enumerate(new) if others[key] == 1}
    pairs = [(n, places[key]) for n, key in enumerate(old) if counts[key] == 1 and key in places]
    return increasing(pairs)


def increasing(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of some pairs, sorted by the first, whose second positions grow too.

    >>> increasing([(0, 2), (1, 0), (2, 1)])
    [(1, 0), (2, 1)]
    """
    tails: list[int] = []
    last: list[int] = []
    previous: list[int] = []
    for n, (_, place) in enumerate(pairs):
        at = bisect_left(tails, place)
        previous.append(last[at - 1] if at else -1)
        if at == len(tails):
            tails.append(place)
            last.append(n)
        else:
            tails[at], last[at] = place, n
    found = []
    n = last[-1] if last else -1
    while n >= 0:
        found.append(pairs[n])
        n = previous[n]
    return found[::-1]
