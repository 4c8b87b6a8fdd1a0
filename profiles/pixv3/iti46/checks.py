"""ITI-46's rules about a notification that was read; that an id has an authority is found when it is read.

Source: ITI TF-2 3.46.4.1.2.
"""

from collections.abc import Callable, Iterator

from profiles.findings import Finding
from profiles.pixv3.iti46.messages import PatientRecordRequest

CHECKS: tuple[Callable[[PatientRecordRequest], Iterator[Finding]], ...] = ()
