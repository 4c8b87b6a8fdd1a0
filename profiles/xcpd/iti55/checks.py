"""ITI-55's rules about a question that was read.

Source: ITI TF-2 3.55.4.1.2.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.wire.hl7v3.candidates import REQUEST, Priority
from profiles.wire.hl7v3.datatypes import error, warning
from profiles.xcpd.iti55.messages import DiscoveryRequest

_QUESTION = f"/{REQUEST}/controlActProcess/queryByParameter"


def name_and_birth_are_told_or_an_id(request: DiscoveryRequest) -> Iterator[Finding]:
    """ITI TF-2 3.55.4.1.2.1: birthTime and name are required unless a livingSubjectId is given."""
    criteria = request.query.criteria
    if not criteria.identifiers and not (criteria.names and criteria.birth):
        yield error(
            "iti55.too-little", "name and birth time are told, or an id", f"{_QUESTION}/parameterList", "SYN100"
        )


def no_name_is_only_a_beginning(request: DiscoveryRequest) -> Iterator[Finding]:
    """ITI TF-2 3.55.4.1.2.1: the use of a name is not SRCH."""
    if any(each.beginning for each in request.query.criteria.names):
        yield error(
            "iti55.search", "a name between communities is whole", f"{_QUESTION}/parameterList/livingSubjectName", "SYN"
        )


def the_answer_is_wanted_at_once(request: DiscoveryRequest) -> Iterator[Finding]:
    """ITI TF-2 3.55.4.1.3: a deferred question has an action of its own."""
    if request.query.priority is not Priority.IMMEDIATE:
        yield error("iti55.priority", "answers are immediate here", f"{_QUESTION}/responsePriorityCode", "NS250")


def the_asking_community_is_named(request: DiscoveryRequest) -> Iterator[Finding]:
    """ITI TF-2 3.55.4.1.2.4: the sender's organisation is the home community."""
    if request.query.transmission.sender.organization is None:
        yield warning("iti55.home", "the sender does not name its home community", f"/{REQUEST}/sender/device/asAgent")


def an_answer_later_has_somewhere_to_go(request: DiscoveryRequest) -> Iterator[Finding]:
    """ITI TF-2 3.55.4.1.3: the answer names the wsa:MessageID of the question."""
    if request.query.respond_to and not request.message_id:
        yield error("iti55.message-id", "a deferred question has a wsa:MessageID", f"/{REQUEST}", "SYN101")


CHECKS = (
    name_and_birth_are_told_or_an_id,
    no_name_is_only_a_beginning,
    the_answer_is_wanted_at_once,
    the_asking_community_is_named,
)

DEFERRED_CHECKS = (
    name_and_birth_are_told_or_an_id,
    no_name_is_only_a_beginning,
    an_answer_later_has_somewhere_to_go,
    the_asking_community_is_named,
)
