"""What a validation says: findings, each with what, where, expected and got, and what was covered."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that does not hold."""

    #: The check that found it.
    check: str
    #: What happened, in a sentence.
    what: str
    #: The entry it is about, by label and by stable name.
    label: str | None = None
    stable_name: str | None = None
    #: The user's line, ``file:line in function``.
    where: str | None = None
    expected: str | None = None
    got: str | None = None
    advice: str | None = None

    def __str__(self) -> str:
        lines = [f"{self.check}: {self.what}"]
        if self.label:
            lines.append(f"at {self.label} ({self.stable_name})")
        for name, text in (
            ("in", self.where),
            ("expected", self.expected),
            ("got", self.got),
            ("to do:", self.advice),
        ):
            if text:
                lines.append(f"{name} {text}")
        place = f"in {self.where}"  # is never broken: terminals make links of places
        return "\n".join(
            f"  {line}" if line == place else _wrapped(line, "  " * bool(n)) for n, line in enumerate(lines)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check has done."""

    name: str
    findings: Sequence[Finding]
    #: What it has looked at: ``{"values": 24, "opaque": 0}``.
    covered: Mapping[str, int]
    seconds: float
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationReport:
    """The result of `validate_model_activations`: true when every check holds."""

    model_name: str
    checks: Sequence[CheckResult]
    #: Entries, ops, edges and opaque ops of the history.
    covered: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def __bool__(self) -> bool:
        return not self.findings

    @property
    def findings(self) -> list[Finding]:
        """What does not hold, over all checks."""
        return [finding for check in self.checks for finding in check.findings]

    def __str__(self) -> str:
        verdict = "valid" if self else _counted(self.findings)
        lines = [_told(f"Validation of {self.model_name}: {verdict}", self.covered, self.seconds)]
        for check in self.checks:
            mark = "ok" if not check.findings else _counted(check.findings)
            lines.append(_told(f"  {check.name}: {mark}", check.covered, check.seconds))
            lines += [_wrapped(note, "    ") for note in check.notes]
        shown = self.findings[:_SHOWN]
        lines += [textwrap.indent(str(finding), "  ") for finding in shown]
        if len(self.findings) > len(shown):
            lines.append(f"  and {len(self.findings) - len(shown)} more findings")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {"valid": bool(self), **asdict(self)}

    def to_json(self) -> str:
        """Everything as JSON."""
        return json.dumps(self.as_dict(), indent=2)


def _told(verdict: str, covered: Mapping[str, int], seconds: float) -> str:
    """A verdict with what was covered; what there is none of is left out."""
    counts = ", ".join(f"{count} {name}" for name, count in covered.items() if count)
    return f"{verdict} ({counts}; {seconds:.2f} s)" if counts else f"{verdict} ({seconds:.2f} s)"


#: Findings printed in full.
_SHOWN = 10
#: Columns, for a terminal of 80 with the indentation that findings have in a report.
_WIDTH = 76


def _wrapped(line: str, indent: str) -> str:
    """A line in as many as it takes; places in files are not broken."""
    return textwrap.fill(
        *(line, _WIDTH),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _counted(findings: Sequence[Finding]) -> str:
    return "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
