"""Wrong consumers: they take an answer for what it is not.

What they are answered is changed on its way, back to what is right: so a consumer looks that overlooks what was wrong.

Source: ITI TF-2 3.18, 3.43.
"""

import re
from collections.abc import Mapping

from conformance.faults.asking import answer_faults, refusal_as_success
from conformance.faults.edits import Fault, answers
from conformance.faults.submitting import FaultsOf
from conformance.suites.xds.consumer_take import ANOTHER, FAILURE, SUCCESS
from profiles.xds.iti18 import ITI_18
from profiles.xds.iti43 import ITI_43

_take = FaultsOf("ITI-43", "xds.consumer_take")

FAULTS: Mapping[str, Fault] = {
    **answer_faults(ITI_18, "xds.consumer_query", refusal_as_success(ITI_18)),
    **answer_faults(
        ITI_43, "xds.consumer_take",
        answers(re.escape(FAILURE), SUCCESS),
    ),
    "to ITI-43/another-document": _take.told(
        "takes whatever document comes", "another",
        answer=answers(re.escape(ANOTHER) + rb"(?=</xds:DocumentUniqueId>)", b""),
    ),
    "to ITI-43/other-bytes": _take.told(
        "does not look at the hash", "changed", answer=answers(rb"!\n(?=\r\n--)", b".\n")
    ),
}  # fmt: skip
