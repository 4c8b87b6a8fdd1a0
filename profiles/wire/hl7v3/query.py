"""What questions by parameters and their answers share: the question itself, and the query's own acknowledgement.

What a newcomer gets wrong: every answer repeats the question (`queryByParameter`) to the letter, also a refusal; a question
is therefore kept as the text that it was. And `queryResponseCode` tells how the *query* went, `acknowledgement` how the
*message* was taken: nobody found is AA with NF.

Source: HL7 V3 MFMI_MT700711UV01, QUQI_MT000001UV01; ITI TF-2 3.45.4.2.3, 3.47.4.2.3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from lxml import etree

from profiles.errors import Condition, ExchangeError, MalformedMessage
from profiles.wire.hl7v3.datatypes import NO_ID, InstanceIdentifier, child, code_of, read_ii, write_ii

QUESTION = "controlActProcess/queryByParameter"
MAX_QUESTION_CHARACTERS = 16 * 1024  # it is repeated, remembered and audited; four times the largest sample is 8 KiB


class QueryResponseCode(StrEnum):
    """How a query went."""

    OK = "OK"  # data found
    NOT_FOUND = "NF"
    ERROR = "AE"
    PARAMETER_ERROR = "QE"


def code_for(error: ExchangeError) -> QueryResponseCode:
    """The query's code of an error: of its parameters, or of anything else."""
    parameters = error.condition in (Condition.RULE_VIOLATED, Condition.MALFORMED)
    return QueryResponseCode.PARAMETER_ERROR if parameters else QueryResponseCode.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question as it stood in its message: its id, and its element as text, namespaces declared."""

    id: InstanceIdentifier = NO_ID
    text: str = ""

    def __repr__(self) -> str:
        """Its id: the text has a person's demographics."""
        return f"Question({self.id})"


NO_QUESTION = Question()


def read_question(root: etree._Element) -> tuple[etree._Element, Question]:
    """The question of a request, as element and as text.

    Raises:
        MalformedMessage: There is none, or it is longer than any question about one person.
    """
    element, at = child(root, QUESTION), f"/{etree.QName(root).localname}/{QUESTION}"
    if element is None:
        raise MalformedMessage("a query has its parameters", location=at)
    text = etree.tostring(element, encoding="unicode", with_tail=False)
    if len(text) > MAX_QUESTION_CHARACTERS:
        raise MalformedMessage(f"a question of more than {MAX_QUESTION_CHARACTERS} characters", location=at)
    return element, Question(id=read_ii(child(element, "queryId")), text=text)


def question_of(root: etree._Element) -> Question:
    """The question that a message repeats or asks, or only names as an answer does; `NO_QUESTION`: none of them."""
    if child(root, QUESTION) is None:
        return Question(id=read_ii(child(root, "controlActProcess/queryAck/queryId")))
    return read_question(root)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """How many matches there are, are in this answer, and are left for later ones."""

    total: int
    current: int
    remaining: int


def write_query_ack(question: Question, code: QueryResponseCode, quantities: Quantities | None = None) -> Iterator[str]:
    """How the query went, and the question again."""
    yield f"<queryAck>{write_ii('queryId', question.id) if question.id.is_known else ''}"
    yield f'<queryResponseCode code="{code}"/>'
    if quantities is not None:
        yield f'<resultTotalQuantity value="{quantities.total}"/>'
        yield f'<resultCurrentQuantity value="{quantities.current}"/>'
        yield f'<resultRemainingQuantity value="{quantities.remaining}"/>'
    yield f"</queryAck>{question.text}"


def read_query_ack(root: etree._Element) -> tuple[QueryResponseCode, Quantities | None]:
    """How the query went.

    Raises:
        MalformedMessage: It is not said.
    """
    ack = child(root, "controlActProcess/queryAck")
    try:
        code = QueryResponseCode(code_of(ack, "queryResponseCode"))
    except ValueError as unknown:
        raise MalformedMessage(
            "the answer does not say how the query went", location="controlActProcess/queryAck/queryResponseCode"
        ) from unknown
    numbers = [read_quantity(child(ack, f"result{name}Quantity")) for name in ("Total", "Current", "Remaining")]
    total, current, remaining = numbers
    if total is None and current is None and remaining is None:
        return code, None
    return code, Quantities(total=total or 0, current=current or 0, remaining=remaining or 0)


MAX_QUANTITY = 10_000_000  # what nobody counts to


def read_quantity(element: etree._Element | None) -> int | None:
    """A count; None where it is absent or no number of a sane size."""
    value = "" if element is None else element.get("value", "").strip()
    if not (value.isascii() and value.isdigit()) or len(value) > 8:
        return None
    return min(int(value), MAX_QUANTITY)
