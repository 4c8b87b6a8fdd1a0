"""Character sets: MSH-18 to the codec that reads and writes it.

What a newcomer gets wrong: most senders who leave MSH-18 out do not send ASCII. What was declared is tried first, then the
default of the house, then UTF-8, then Latin-1, which reads everything; what was not as declared is a finding.

Source: HL7 table 0211; ITI TF-2x Appendix C.2; HL7 v2 2.14.9.18.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from profiles.findings import Finding, Severity

ASCII = "ascii"
UTF_8 = "utf-8"
UTF_8_NAME = "UNICODE UTF-8"

CODECS: dict[str, str] = {
    "": ASCII,
    "ASCII": ASCII,
    "8859/1": "iso8859-1",
    "8859/2": "iso8859-2",
    "8859/3": "iso8859-3",
    "8859/4": "iso8859-4",
    "8859/5": "iso8859-5",
    "8859/6": "iso8859-6",
    "8859/7": "iso8859-7",
    "8859/8": "iso8859-8",
    "8859/9": "iso8859-9",
    "8859/15": "iso8859-15",
    "ISO IR6": ASCII,
    "ISO IR14": "shift_jis",
    "ISO IR87": "iso2022_jp_ext",  # 0208, 0212 and half-width katakana: whatever the escapes then ask for
    "ISO IR159": "iso2022_jp_ext",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
    "UNICODE": UTF_8,
    UTF_8_NAME: UTF_8,
    "UTF-8": UTF_8,
    "UTF8": UTF_8,
}
"""Table 0211 and the spellings that are seen. CNS 11643-1992 is left out: Python has no codec for it."""

# The designators of KS X 1001 by ISO 2022: what follows is the same bytes as EUC-KR without them.
_KOREAN_DESIGNATOR = re.compile(rb"\x1b\$\)C")


@dataclass(frozen=True, slots=True)
class Read:
    """Text, the codec that read it, and what was odd."""

    text: str
    codec: str
    findings: tuple[Finding, ...] = ()


@lru_cache(maxsize=64)
def codec_of(declared: str) -> str | None:
    """The codec for MSH-18, its repetitions separated by `~`; None for a set that we cannot read.

    The first repetition is the default set, the others are reached by ISO 2022 escapes: an empty first one with an
    alternative means ASCII plus that.
    """
    first, *alternatives = (name.strip().upper() for name in declared.split("~"))
    for alternative in alternatives:
        codec = CODECS.get(alternative)
        if codec in ("iso2022_jp_ext", "euc_kr") and CODECS.get(first) in (ASCII, "shift_jis"):
            return codec
    return CODECS.get(first)


def read_text(data: bytes, declared: str, default: str = UTF_8) -> Read:
    """The text of a message, whatever it takes; never fails.

    Args:
        data: The whole message.
        declared: MSH-18 as it came.
        default: The codec of the house for messages that declare nothing.
    """
    codec = codec_of(declared)
    findings = () if codec else (_UNKNOWN,)
    if data.isascii() and not (b"\x1b" in data and codec == "iso2022_jp_ext"):
        return Read(data.decode(ASCII), UTF_8 if codec in (None, ASCII) else codec, findings)
    if codec is not None and codec != ASCII:
        if codec == "euc_kr":
            data = _KOREAN_DESIGNATOR.sub(b"", data)
        try:
            return Read(data.decode(codec), codec)
        except UnicodeDecodeError:
            finding = _finding("hl7.charset-broken", "bytes are not of the character set that MSH-18 declares")
            return Read(data.decode(codec, "replace"), codec, (finding,))
    for guess in (default, UTF_8):
        try:
            text = data.decode(guess)
        except UnicodeDecodeError:
            continue
        return Read(text, guess, (*findings, _finding("hl7.charset-undeclared", f"read as {guess}: MSH-18 is silent")))
    finding = _finding("hl7.charset-undeclared", "read as iso8859-1: MSH-18 is silent and it is not UTF-8")
    return Read(data.decode("iso8859-1"), "iso8859-1", (*findings, finding))


def _finding(rule: str, text: str) -> Finding:
    return Finding(rule=rule, text=text, severity=Severity.WARNING, code="103", location="MSH^1^18")


_UNKNOWN = _finding("hl7.charset-unknown", "MSH-18 names a character set that we cannot read")
