"""ITI-30 at a patient identity consumer: persons come, change, are merged and get other ids, by HL7 2.5 and later.

What became of them is asked by ITI-47, of the same system.

Source: ITI TF-2 3.30, Appendix C; HL7 v2.5 chapters 2, 3.
"""

from conformance.case import case
from conformance.expect import expect
from conformance.suites.people import families, found_by, new_id
from conformance.suites.pix.messages import Ack, adt, control_id, cx, ends, sent
from conformance.target import Target
from conformance.verdict import Unreachable
from profiles.model.identifiers import PatientIdentifier
from profiles.transaction import Actor

CONSUMER = Actor.PATIENT_IDENTITY_CONSUMER
ITI_30 = "ITI-30"
VERSION = "2.5"
STRUCTURES = {"A28": "ADT_A05", "A31": "ADT_A05", "A40": "ADT_A39", "A47": "ADT_A30"}
NAME = "Management"


def person(identifier: PatientIdentifier, family: str = NAME, rest: str = "|19700101|F") -> str:
    """PID of a person; `rest` is from PID-7 on."""
    return f"PID|||{cx(identifier)}||{family}^Zoe^^^^^L|{rest}"


def message(target: Target, event: str, pid: str, *more: str, charset: str = "", encoding: str = "ascii") -> bytes:
    """A message of one of the events; `charset` is MSH-18."""
    text = adt(
        target, event, pid, *more, type=f"ADT^{event}^{STRUCTURES.get(event, 'ADT_A05')}", version=VERSION, visit=False
    ).decode()
    text = text.replace(f"EVN|{event}|", "EVN||")  # EVN-1 is withdrawn in 2.5
    if event in ("A28", "A31"):
        text += "PV1||N\r"
    if charset:
        header, _, rest = text.partition("\r")
        text = f"{header}{'|' * 6}{charset}\r{rest}"
    return text.encode(encoding)


async def told(target: Target, event: str, pid: str, *more: str) -> Ack:
    """Send it."""
    return await sent(target, message(target, event, pid, *more), ITI_30)


async def done(target: Target, event: str, pid: str, *more: str) -> None:
    """Send what must be taken."""
    expect((await told(target, event, pid, *more)).msa[1], f"MSA-1 of {event}").equals("AA")


async def known(target: Target, family: str = NAME) -> PatientIdentifier:
    """Somebody new, whom the system is told of.

    Raises:
        Unreachable: It does not take them: what the case is about cannot be tried.
    """
    identifier = new_id(target)
    if (await told(target, "A28", person(identifier, family))).msa[1] != "AA":
        raise Unreachable("a person who is right is not taken by A28: see pix.identity_management/added")
    return identifier


@case("ITI30/ack", transaction=ITI_30, actor=CONSUMER, title="A person is acknowledged as HL7 2.5 wants it")
async def acknowledged(target: Target) -> None:
    """MSH-9 has three components, MSA two fields, addresses are turned round."""
    asked = message(target, "A28", person(new_id(target)))
    ack = await sent(target, asked, ITI_30)
    expect(ack.msa[1:3], "MSA-1 and MSA-2").equals(["AA", control_id(asked)])
    expect(any(ack.msa[3:]), "whether MSA says more").equals(False)
    sender, receiver = ends(target)
    expect("|".join(ack.msh[2:6]), "MSH-3 to MSH-6").equals(f"{receiver}|{sender}")
    expect(ack.msh[8], "MSH-9").equals("ACK^A28^ACK")
    expect(ack.msh[11].partition("^")[0], "MSH-12").equals(VERSION)


@case("ITI30/error", transaction=ITI_30, actor=CONSUMER, title="What is wrong has a code and a place, in an ERR of 2.5")
async def refused(target: Target) -> None:
    """A person without PID-3: AE, with ERR-2, ERR-3 and ERR-4."""
    ack = await told(target, "A28", f"PID|||||{NAME}^Zoe||19700101|F")
    expect(ack.msa[1], "MSA-1").equals("AE")
    errors = [line.split("|") + [""] * 5 for line in ack.complaint.split("\r") if line.startswith("ERR")]
    expect(errors, "ERR").is_there()
    expect(errors[0][1], "ERR-1").is_absent()
    expect(errors[0][2].startswith("PID^1^3"), "whether ERR-2 is PID-3").equals(True)
    expect(errors[0][3].partition("^")[0], "ERR-3").equals("101")
    expect(errors[0][4], "ERR-4").equals("E")


@case("ITI30/add", transaction=ITI_30, actor=CONSUMER, title="A person who is added is known")
async def added(target: Target) -> None:
    """A28."""
    identifier = new_id(target)
    await done(target, "A28", person(identifier))
    expect(await families(target, identifier), "who is found").equals([NAME])


@case("ITI30/update", transaction=ITI_30, actor=CONSUMER, title="An update changes a person, and adds who is new")
async def updated(target: Target) -> None:
    """A31, of somebody known and of nobody."""
    identifier, nobody = await known(target), new_id(target)
    await done(target, "A31", person(identifier, "Updated"))
    await done(target, "A31", person(nobody, "Unheard"))
    expect(await families(target, identifier), "who is found by the id that was updated").equals(["Updated"])
    expect(await families(target, nobody), "who is found by the id that was new").equals(["Unheard"])


@case("ITI30/null", transaction=ITI_30, actor=CONSUMER, title="What an update does not say stays; what it empties goes")
async def unsaid(target: Target) -> None:
    """PID-7 is absent, then it is two double quotes."""
    identifier = await known(target)
    await done(target, "A31", person(identifier, rest="||F"))
    expect([each.birth_date is None for each in await found_by(target, identifier)], "whether it is gone").equals(
        [False]
    )
    await done(target, "A31", person(identifier, rest='|""|F'))
    expect([each.birth_date is None for each in await found_by(target, identifier)], "whether it is gone").equals(
        [True]
    )


@case("ITI30/merge", transaction=ITI_30, actor=CONSUMER, title="Who is merged into another is not found any more")
async def merged(target: Target) -> None:
    """A40: PID-3 stays."""
    stays, goes = await known(target, "Stays"), await known(target, "Goes")
    await done(target, "A40", person(stays, "Stays"), f"MRG|{cx(goes)}")
    expect(await families(target, stays), "who is found by the surviving id").equals(["Stays"])
    expect(await families(target, goes), "who is found by the subsumed id").is_absent()


@case(
    "ITI30/merge-unknown",
    transaction=ITI_30,
    actor=CONSUMER,
    title="A merge of whom the consumer does not know is no error",
)
async def merged_unknown(target: Target) -> None:
    """Nobody has the id that goes: nothing is done. Nobody has the one that stays: it is now theirs."""
    patient, nobody, new = await known(target), new_id(target), new_id(target)
    await done(target, "A40", person(patient), f"MRG|{cx(nobody)}")
    expect(await families(target, patient), "who is found by the id that stays").equals([NAME])
    await done(target, "A40", person(new), f"MRG|{cx(patient)}")
    expect(await families(target, new), "who is found by the id that was new").equals([NAME])
    expect(await families(target, patient), "who is found by the id that went").is_absent()


@case("ITI30/change", transaction=ITI_30, actor=CONSUMER, title="A person whose id is changed is found by the new one")
async def changed(target: Target) -> None:
    """A47: MRG-1 is the old id."""
    old, new = await known(target), new_id(target)
    await done(target, "A47", person(new), f"MRG|{cx(old)}")
    expect(await families(target, new), "who is found by the new id").equals([NAME])
    expect(await families(target, old), "who is found by the old id").is_absent()


@case("ITI30/bad-change", transaction=ITI_30, actor=CONSUMER, title="An id is not changed for one of another person")
async def changed_for_anothers(target: Target) -> None:
    """A47 with two who are known: AE, and both are as they were."""
    one, other = await known(target, "One"), await known(target, "Other")
    ack = await told(target, "A47", person(other, "Other"), f"MRG|{cx(one)}")
    expect(ack.msa[1], "MSA-1").equals("AE")
    for identifier, family in ((one, "One"), (other, "Other")):
        expect(await families(target, identifier), "who is found").equals([family])


@case("ITI30/event", transaction=ITI_30, actor=CONSUMER, title="An event that nobody has is rejected")
async def not_served(target: Target) -> None:
    """AR with 201."""
    ack = await told(target, "A99", person(new_id(target)))
    expect(ack.msa[1], "MSA-1").equals("AR")
    expect("201" in ack.complaint, "whether the acknowledgement complains of 201").equals(True)


@case(
    "ITI30/charset", transaction=ITI_30, actor=CONSUMER, title="A name is read in the character set that MSH-18 names"
)
async def character_sets(target: Target) -> None:
    """Latin 1, Greek and UTF-8."""
    for charset, encoding, family in (
        ("8859/1", "iso8859-1", "Grünwald"),
        ("8859/7", "iso8859-7", "Παππάς"),
        ("UNICODE UTF-8", "utf-8", "Łukasz"),
    ):
        identifier = new_id(target)
        asked = message(target, "A28", person(identifier, family), charset=charset, encoding=encoding)
        expect((await sent(target, asked, ITI_30)).msa[1], f"MSA-1 of {charset}").equals("AA")
        expect(await families(target, identifier), f"the name in {charset}").equals([family])


@case("ITI30/escapes", transaction=ITI_30, actor=CONSUMER, title="Escape sequences are read, once")
async def escapes(target: Target) -> None:
    r"""\T\ is &, \E\T\E\ is \T\."""
    identifier = new_id(target)
    await done(target, "A28", person(identifier, r"A\T\B\E\T\E\C"))
    expect(await families(target, identifier), "the name").equals([r"A&B\T\C"])


@case(
    "ITI30/repetitions", transaction=ITI_30, actor=CONSUMER, title="Every id of a person is theirs, of whatever domain"
)
async def repeated_ids(target: Target) -> None:
    """PID-3 has two."""
    first = new_id(target)
    second = new_id(target, target.known("other_patient_authority"))
    await done(target, "A28", person(first).replace(cx(first), f"{cx(first)}~{cx(second)}"))
    expect(await families(target, second), "who is found by the second id").equals([NAME])
