"""Whether the codes of a submission are among those of the affinity domain.

A domain says which codes an attribute may have. Of an attribute for which it has no list, nothing is said here.

Source: ITI TF-3 4.2.3.2 ("the code is one of a set that the affinity domain defines"); error codes of ITI TF-3 4.2.4.1.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from profiles.findings import Finding, Severity
from profiles.model.codes import Code
from profiles.model.document import DocumentEntry, Submission

RULE = "xds.code-of-the-domain"
MAX_SHOWN = 64  # characters of a code that is told back

ListedCodes = Mapping[str, Collection[tuple[str, str]]]
"""By attribute, as ITI TF-3 calls it: (value, system) of every code that it may have."""


def codes_outside(submission: Submission, listed: ListedCodes, severity: Severity) -> Iterator[Finding]:
    """A finding for each code that its attribute's list does not have; each names attribute, code and scheme.

    Args:
        submission: Its set and its entries are looked at; codes of folders have no list.
        listed: What the domain has. Display names never decide.
        severity: Of the findings.
    """
    of_set = submission.submission_set
    told: list[tuple[str, Iterable[Code], str]] = [("contentTypeCode", (of_set.content_type_code,), of_set.entry_uuid)]
    for entry in submission.entries:
        told += [(attribute, codes, entry.entry_uuid) for attribute, codes in _coded(entry)]
    for attribute, codes, location in told:
        if (allowed := listed.get(attribute)) is None:
            continue
        for code in codes:
            if (code.value, code.system.removeprefix("urn:oid:")) not in allowed:
                named = f"{attribute} {code.value[:MAX_SHOWN]} of {code.system[:MAX_SHOWN]}"
                yield Finding(
                    rule=RULE, text=f"{named} is not a code of this affinity domain: {location}", severity=severity,
                    location=location,
                )  # fmt: skip


def _coded(entry: DocumentEntry) -> Iterator[tuple[str, tuple[Code, ...]]]:
    yield "classCode", (entry.class_code,)
    yield "typeCode", (entry.type_code,)
    yield "formatCode", (entry.format_code,)
    yield "healthcareFacilityTypeCode", (entry.healthcare_facility_type_code,)
    yield "practiceSettingCode", (entry.practice_setting_code,)
    yield "confidentialityCode", entry.confidentiality_codes
    yield "eventCodeList", entry.event_codes
