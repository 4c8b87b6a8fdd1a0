"""ITI-45's rules about a question that was read.

Source: ITI TF-2 3.45.4.1.2.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.pixv3.iti45.messages import IdentifiersQuery, asked_domain
from profiles.wire.hl7v3.datatypes import warning


def no_domain_is_asked_for_twice(query: IdentifiersQuery) -> Iterator[Finding]:
    """ITI TF-2 3.45.4.1.2.2: a DataSource for each domain."""
    for position, domain in enumerate(query.domains, 1):
        if domain in query.domains[: position - 1]:
            yield warning("iti45.domain-twice", "a domain is asked for twice", asked_domain(position))


CHECKS = (no_domain_is_asked_for_twice,)
