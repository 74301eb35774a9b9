"""What the journal holds, and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from groupqueue.cli.doctor.findings import Finding, note, wrong
from groupqueue.exceptions import GroupVersionError
from groupqueue.system import offline
from groupqueue.system.paths import GroupPaths


def examine_contents(paths: GroupPaths) -> tuple[dict[str, Any] | None, list[Finding]]:
    """The numbers, None if they cannot be read, and the findings."""
    findings = list(_examine_damaged_files(paths))
    try:
        found, notes = _read(paths)
    except GroupVersionError as error:
        remedy = "drain it with the groupqueue that wrote it, or remove the group: groupqueue unlink " + paths.name
        findings.append(wrong("version", str(error).partition(": ")[2].partition(";")[0], remedy))
        return None, findings
    except OSError as error:
        text = f"the journal in {paths.journal} cannot be read: {error.strerror or error}"
        findings.append(wrong("journal", text, "see to the file or the disk that it names"))
        return None, findings
    findings += [
        wrong("damage", f"the journal is damaged: {damage}", "what is good is delivered; a leader sets the file aside")
        for damage in notes
    ]
    findings += _examine_numbers(found, paths)
    return found, findings


def _read(paths: GroupPaths) -> tuple[dict[str, Any], list[str]]:
    """What is half-written under our eyes looks like damage once, but not twice at the same place."""
    found, _, notes = offline.read(paths)
    if notes:
        found, _, again = offline.read(paths)
        notes = [note for note in notes if note in again]
    return found, notes


def _examine_damaged_files(paths: GroupPaths) -> Iterator[Finding]:
    try:
        names = sorted(name for name in os.listdir(paths.journal) if name.startswith("damaged-"))
    except OSError:
        return
    for name in names:
        path = os.path.join(paths.journal, name)
        yield wrong(
            "set-aside",
            f"a part of the journal was damaged and is set aside: {path}",
            "items may be lost in it; find out what wrote there or broke, keep a copy if you want one, and remove it",
        )


def _examine_numbers(found: dict[str, Any], paths: GroupPaths) -> Iterator[Finding]:
    if found.get("failed"):
        yield wrong(
            "failed",
            f"{found['failed']:,} item(s) are on the failed list",
            f"groupqueue failed {paths.name} tells why; groupqueue requeue {paths.name} puts them back",
        )
    if found.get("lost"):
        yield note("lost", f"{found['lost']:,} item(s) were lost to a damaged journal, ever")
    if found.get("shutdown"):
        yield note("shut-down", "the group is shut down", "it revives when it is opened with no member alive")
