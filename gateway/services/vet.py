"""Vet: whether the codes that others submit are those of the affinity domain, where it has lists of them.

By setting they are not looked at, told to the sender as warnings, or refused. What a newcomer gets wrong: a code that is
not in the list is not wrong by itself. Senders from outside have lists of their own, so by default nobody is told.

Source: ITI TF-3 4.2.3.2, 4.2.4.1 (XDSRegistryMetadataError, XDSRepositoryMetadataError: after the actor that finds it).
"""

from collections.abc import Callable
from enum import StrEnum

from gateway.ports.compute import Compute
from gateway.services.exchange import Exchange
from profiles.errors import Busy, RuleViolation, UnmappedCode
from profiles.findings import Finding, Severity
from profiles.model.document import Submission
from profiles.xdsi.rad68 import SiteCodes, codes_outside

CURE = "The sender uses a code of the affinity domain, or the domain adds this one to affinity_domain.code_sets"


class Vetting(StrEnum):
    """What becomes of codes that the domain does not have."""

    OFF = "off"
    WARN = "warn"
    REFUSE = "refuse"


class Vet:
    """Looks at submissions before anything of them is registered."""

    def __init__(self, *, vetting: Vetting, codes: Callable[[], SiteCodes], compute: Compute) -> None:
        """`codes` tells what the domain has; it may read a file, so it is asked in a thread."""
        self._vetting = vetting
        self._codes = codes
        self._compute = compute

    async def vetted(self, submission: Submission, exchange: Exchange) -> tuple[Finding, ...]:
        """The warnings to send along.

        Raises:
            RuleViolation: A code is none of the domain's, and such are refused; the findings name all of them.
            Busy: The table was changed and cannot be read, and so nothing can be judged by it.
        """
        if self._vetting is Vetting.OFF:
            return ()
        try:
            codes = await self._compute.run(self._codes)
        except UnmappedCode as unreadable:
            raise Busy("the codes of the affinity domain cannot be read now", cure=unreadable.cure) from unreadable
        severity = Severity.ERROR if self._vetting is Vetting.REFUSE else Severity.WARNING
        found = tuple(codes_outside(submission, codes.listed, severity))
        if found and self._vetting is Vetting.REFUSE:
            raise RuleViolation(found[0].text, location=found[0].location, cure=CURE, findings=found)
        if found:
            exchange.learned.why, exchange.learned.cure = found[0].text, CURE
        return found
