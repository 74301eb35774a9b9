"""Examines a group and tells what was found."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from groupqueue.cli import Problem, say
from groupqueue.cli.doctor.contents import examine_contents
from groupqueue.cli.doctor.findings import Finding, processes
from groupqueue.cli.doctor.lead import Facts, examine_leader, gather
from groupqueue.cli.doctor.place import examine_place, free_bytes, is_readable
from groupqueue.cli.doctor.ring import Contact
from groupqueue.cli.look import group_names
from groupqueue.system.paths import GroupPaths, resolve_directory


class Report(NamedTuple):
    """`facts` and `numbers` are None where they could not be looked at."""

    paths: GroupPaths
    findings: list[Finding]
    facts: Facts | None
    numbers: dict[str, Any] | None

    @property
    def is_healthy(self) -> bool:
        return not any(finding.wrong for finding in self.findings)


def doctor(name: str, directory: str | None, as_json: bool) -> int:
    """Prints the report; 1 if anything is wrong."""
    paths = GroupPaths(resolve_directory(directory), name)
    try:
        report = examine(paths)
    except (FileNotFoundError, NotADirectoryError):
        others = ", ".join(group_names(paths.directory)) or "none"
        raise Problem(
            f"there is no group {name!r} in {paths.directory} (groups there: {others}); "
            "is GROUPQUEUE_DIR the same here as where it was opened?"
        ) from None
    if as_json:
        say(json.dumps(as_plain(report), indent=2))
    else:
        _print(report)
    return 0 if report.is_healthy else 1


def examine(paths: GroupPaths) -> Report:
    """FileNotFoundError if there is no such group."""
    findings = list(examine_place(paths))
    if not is_readable(paths):
        return Report(paths, findings, None, None)
    facts = gather(paths)
    findings += examine_leader(facts, paths)
    numbers, more = examine_contents(paths)
    return Report(paths, findings + more, facts, numbers)


def as_plain(report: Report) -> dict[str, Any]:
    """What JSON can say."""
    plain: dict[str, Any] = {"name": report.paths.name, "directory": report.paths.directory}
    plain["healthy"] = report.is_healthy
    plain["findings"] = [finding._asdict() for finding in report.findings]
    facts = report.facts
    if facts is not None:
        plain["leader_pid"] = facts.grip.pid if facts.grip is not None and not facts.grip.heirs else None
        plain["answers"] = facts.contact is Contact.ANSWERS
        plain["members"] = [{"pid": pid, "state": facts.states[pid]} for pid in facts.member_pids]
        plain["free_bytes"] = free_bytes(report.paths)
    return {**plain, **(report.numbers or {})}


def _print(report: Report) -> None:
    for label, value in _rows(report):
        say(f"{label:<9} {value}")
    for finding in sorted(report.findings, key=lambda finding: not finding.wrong):
        say()
        say(f"{'WRONG' if finding.wrong else 'note'}: {finding.text}")
        if finding.remedy:
            say(f"  -> {finding.remedy}")
    if report.is_healthy:
        say()
        say("nothing is wrong")


def _rows(report: Report) -> list[tuple[str, str]]:
    rows = [("group", f"{report.paths.name} in {report.paths.directory}")]
    facts, numbers = report.facts, report.numbers
    if facts is not None:
        if facts.contact is Contact.ANSWERS:
            rows.append(("leader", f"process {facts.grip.pid}, answers" if facts.grip is not None else "answers"))
        elif facts.grip is not None:
            rows.append(("leader", f"process {facts.grip.pid}, does not answer"))
        else:
            rows.append(("leader", "none"))
        who = f" ({processes(facts.member_pids)})" if facts.member_pids else ""
        rows.append(("members", f"{facts.living} alive{who}, {facts.dead} dead"))
    if numbers is not None:
        counts = [f"{numbers.get(key, 0):,} {text}" for key, text in _COUNTS]
        rows.append(("items", ", ".join(counts)))
    if facts is not None:
        rows.append(("disk", f"{free_bytes(report.paths) / 2**20:,.0f} MiB free"))
    return rows


_COUNTS = (("ready", "ready"), ("in_flight", "in flight"), ("failed", "failed"))
