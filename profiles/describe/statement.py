"""What an integration statement is made of: who plays which part in a transaction, and how it is told apart on the wire."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from profiles.catalogue import PROFILES
from profiles.transaction import Actor, Hl7Transaction, HttpTransaction, SoapTransaction, Transaction


class Direction(StrEnum):
    """From which end of a transaction the codecs can speak."""

    BOTH = "asked and answered"
    ANSWERED = "answered"
    ELSEWHERE = "by no message of its own"  # TLS itself, an assertion inside other messages, a syslog line


class Wire(StrEnum):
    """What carries it."""

    SOAP = "SOAP 1.2"
    HTTP = "HTTP"
    MLLP = "HL7 v2 over MLLP"
    OTHER = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One transaction.

    `actions` are what a message is dispatched by, 0..n: wsa:Action of requests, `GET /studies/{study}`, `ADT^A40`.
    `packaging` is that of ITI TF-2 Appendix V.8; "": it is not SOAP.
    """

    id: str
    name: str
    section: str
    profiles: tuple[str, ...]
    initiator: Actor
    responder: Actor
    wire: Wire
    direction: Direction
    actions: tuple[str, ...]
    packaging: str = ""


def described(
    profiles: Mapping[str, Sequence[Transaction[Any, Any]]] = PROFILES,
) -> tuple[Described, ...]:
    """Every transaction once, in the order of the profiles, with all profiles that have it."""
    belongs: dict[str, list[str]] = {}
    for profile, transactions in profiles.items():
        for each in transactions:
            belongs.setdefault(each.id, []).append(profile)
    once = {each.id: each for transactions in profiles.values() for each in transactions}
    return tuple(_described(each, tuple(belongs[each.id])) for each in once.values())


def _described(transaction: Transaction[Any, Any], profiles: tuple[str, ...]) -> Described:
    wire, direction, actions, packaging = Wire.OTHER, Direction.ELSEWHERE, tuple[str, ...](), ""
    match transaction:
        case SoapTransaction():
            wire, direction, packaging = Wire.SOAP, Direction.BOTH, transaction.packaging.value
            actions = tuple(each.request_action for each in (transaction, *transaction.variants))
        case HttpTransaction():
            wire = Wire.HTTP
            direction = Direction.ANSWERED if transaction.encode_request is None else Direction.BOTH
            actions = tuple(f"{method} {path}" for path in transaction.paths for method in transaction.methods)
        case Hl7Transaction():
            wire, direction = Wire.MLLP, Direction.BOTH
            actions = tuple("^".join(trigger) for trigger in transaction.triggers)
        case _:
            pass
    return Described(
        id=transaction.id, name=transaction.name, section=transaction.section, profiles=profiles,
        initiator=transaction.initiator, responder=transaction.responder, wire=wire, direction=direction,
        actions=actions, packaging=packaging,
    )  # fmt: skip
