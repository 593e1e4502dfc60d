"""Reports everything odd about a data set in one go, by name: what was converted, what is refused."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from training.data.pictures import Finding

NAMES_SHOWN = 20
FEW = 1000
"""Pictures below which a warning is given: a rule of thumb, not a measurement."""


@dataclass(frozen=True)
class Report:
    """All findings over `pictures` pictures."""

    pictures: int
    findings: tuple[Finding, ...]
    classes: Counter[str]

    @property
    def refused(self) -> list[Finding]:
        """Pictures that cannot be used at all."""
        return [finding for finding in self.findings if finding.action == "refused"]

    @property
    def warning(self) -> str | None:
        """What to know before training on so few pictures; None where there are enough."""
        usable = self.pictures - len(self.refused)
        if usable >= FEW:
            return None
        return (
            f"warning: {usable} {'picture' if usable == 1 else 'pictures'}: so few will be learned by heart, and samples will be "
            f"copies of them; from about {FEW:,} on new ones can be hoped for. augment.policy and data.flip help; "
            "`ganymede evaluate` finds copies"
        )

    def facts(self) -> dict[str, object]:
        """The report for a script."""
        findings = [asdict(finding) for finding in self.findings]
        counts = {"pictures": self.pictures, "refused": len(self.refused), "classes": dict(self.classes)}
        return {**counts, "warning": self.warning, "findings": findings}

    def text(self, names_shown: int = NAMES_SHOWN) -> str:
        """The report for a terminal: one paragraph per kind, files by name."""
        lines = [f"{self.pictures} pictures, {len(self.refused)} refused"]
        if self.classes:
            lines.append("classes: " + ", ".join(f"{name} {count}" for name, count in sorted(self.classes.items())))
        by_kind: dict[tuple[str, str], list[Finding]] = defaultdict(list)
        for finding in self.findings:
            by_kind[finding.action, finding.kind].append(finding)
        for (action, kind), group in sorted(by_kind.items(), reverse=True):
            lines += _paragraph(action, kind, group, names_shown)
        return "\n".join([*lines, *([self.warning] if self.warning else [])])


def _paragraph(action: str, kind: str, group: Sequence[Finding], names_shown: int) -> list[str]:
    lines = [f"{kind}: {len(group)} {action}"]
    lines += [f"  {finding.name}: {finding.detail}" for finding in group[:names_shown]]
    if len(group) > names_shown:
        lines.append(f"  and {len(group) - names_shown} more")
    return lines
