"""ITI-47's rules about a question that was read.

Source: ITI TF-2 3.47.4.1.2.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.pdqv3.iti47.messages import CandidatesQuery
from profiles.wire.hl7v3.candidates import REQUEST, Priority
from profiles.wire.hl7v3.datatypes import error

_QUESTION = f"/{REQUEST}/controlActProcess/queryByParameter"


def the_answer_is_wanted_at_once(query: CandidatesQuery) -> Iterator[Finding]:
    """ITI TF-2 3.47.4.1.2.2: responsePriorityCode is I."""
    if query.priority is not Priority.IMMEDIATE:
        yield error("iti47.priority", "answers are immediate here", f"{_QUESTION}/responsePriorityCode", "NS250")


def a_page_has_room(query: CandidatesQuery) -> Iterator[Finding]:
    """ITI TF-2 3.47.4.1.2.2: initialQuantity is a maximum size."""
    if query.initial_quantity == 0:
        yield error("iti47.no-room", "an answer of no matches is no answer", f"{_QUESTION}/initialQuantity", "SYN")


CHECKS = (the_answer_is_wanted_at_once, a_page_has_room)
