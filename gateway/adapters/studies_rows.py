"""The rows of the index of studies: what a study, a series and an instance are as columns, and by what they are found."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

from gateway.adapters.patterns import folded, folded_name, name_groups
from gateway.adapters.stored import interval, micros, series_body, study_body
from gateway.adapters.studies_headers import deflate
from gateway.adapters.studies_rules import corrected_series, merged_series, started_order
from gateway.adapters.studies_told_sql import Kept
from gateway.model.study import StudyRecord
from profiles.model.imaging import Instance, Series, Study

Place = tuple[int, str]
"""The key of a series and the SOP Instance UID of an instance in it."""

COMPARED = (
    "sop_instance_uid",
    "sop_class_uid",
    "transfer_syntax_uid",
    "number",
    "frames",
    "rows",
    "columns",
    "size_bytes",
    "sha256",
    "metadata",
)


class Known:
    """The series of one study while something is learned of them; each that changed is written once."""

    __slots__ = ("_anew", "_told", "_touched", "awaits", "came", "changed", "study_uid", "there", "withdrawn")

    def __init__(self, study_uid: str, there: dict[str, Kept], *, anew: bool = False) -> None:
        """`anew`: the first that is told of a series stands in the place of what was known of it."""
        self.study_uid = study_uid
        self.there = there
        self._anew = anew
        self.changed = False
        self.came = False
        self.awaits = False
        self.withdrawn: dict[Place, dict[str, Any]] = {}
        self._touched: set[str] = set()
        self._told: dict[str, Series] = {}

    def learn(self, learned: Series) -> int:
        """Merge what is told of a series; answers its key. A new one is hidden until an instance of it is there."""
        uid = learned.series_instance_uid
        bare = replace(learned, instances=())
        kept = self.there.get(uid)
        if kept is None:
            self.there[uid] = kept = (bare, key_of(self.study_uid, uid), 0, True)
            self._touched.add(uid)
        elif self._told.get(uid) != bare:
            first = self._anew and uid not in self._told
            after = corrected_series(kept[0], bare) if first else merged_series(kept[0], bare)
            if after != kept[0]:
                self.there[uid] = kept = (after, *kept[1:])
                self._touched.add(uid)
        self._told[uid] = bare
        return kept[1]

    def arrived(self, uid: str) -> None:
        """One instance more."""
        one, series_key, count, _ = self.there[uid]
        self._put(uid, (one, series_key, count + 1, False))
        self.came = True

    def left(self, uid: str, instances: int) -> None:
        """So many fewer."""
        one, series_key, count, withdrawn = self.there[uid]
        self._put(uid, (one, series_key, count - instances, withdrawn))

    def show(self, uid: str) -> None:
        """Something of it is here or awaited."""
        self._put(uid, (*self.there[uid][:3], False))

    def hide(self, uid: str) -> None:
        """Nothing of it is."""
        self._put(uid, (*self.there[uid][:3], True))

    def uid_of(self, series_key: int) -> str:
        """The series of that key."""
        return next(uid for uid, kept in self.there.items() if kept[1] == series_key)

    def rows(self) -> list[dict[str, Any]]:
        """Those that changed, as rows."""
        return [
            {
                "study_instance_uid": self.study_uid,
                "series_instance_uid": uid,
                "series_key": self.there[uid][1],
                "modality": self.there[uid][0].shown_modality,
                "instances": self.there[uid][2],
                "body": series_body(self.there[uid][0]),
                "withdrawn": int(self.there[uid][3]),
            }
            for uid in sorted(self._touched)
        ]

    def _put(self, uid: str, kept: Kept) -> None:
        if kept != self.there[uid]:
            self.there[uid] = kept
            self._touched.add(uid)


def key_of(study_instance_uid: str, series_instance_uid: str) -> int:
    """A series in eight bytes, signed: two among ten million meet with a chance of three in a million."""
    digest = blake2b(f"{study_instance_uid} {series_instance_uid}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def chain_key(chain: str) -> int:
    """A chain of manifests in eight bytes, signed."""
    return int.from_bytes(blake2b(chain.encode(), digest_size=8).digest(), "big", signed=True)


def first_of(chains: Sequence[int]) -> int | None:
    """The one that a new row is told to belong to; None: it is no chain's."""
    return chains[0] if chains else None


def instance_row(series_key: int, instance: Instance, metadata: bytes) -> dict[str, Any]:
    """An instance that is seen, but for what brought it."""
    return {
        "series_key": series_key,
        # Exact strings: the driver looks for adapters of anything else, at 1.6 us a value.
        "sop_instance_uid": str(instance.sop_instance_uid),
        "sop_class_uid": str(instance.sop_class_uid),
        "transfer_syntax_uid": None if instance.transfer_syntax_uid is None else str(instance.transfer_syntax_uid),
        "number": instance.number,
        "frames": instance.frames,
        "rows": instance.rows,
        "columns": instance.columns,
        "size_bytes": instance.size_bytes,
        "sha256": instance.sha256,
        "metadata": deflate(metadata),
    }


def withdrawn_row(study_uid: str, chain: int | None, since: int, by: str) -> dict[str, Any]:
    """What a row of a withdrawn instance has beside that of one that is seen."""
    return {"chain": chain, "study_instance_uid": study_uid, "withdrawn_at": since, "withdrawn_by": by}


def study_row(record: StudyRecord, at: datetime) -> dict[str, Any]:
    """What is written of a study when it changes."""
    study = record.study
    started = (None, None) if study.started is None else interval(study.started)
    return {
        "status": record.status.value,
        "version": record.version,
        "updated_at": micros(at),
        "updated_order": -micros(at),
        "started_from": started[0],
        "started_to": started[1],
        "started_order": started_order(study.started),
        "study_id": study.study_id,
        "description": folded(study.description),
        "referring_physician": folded_name(study.referring_physician),
        "body": study_body(study),
    }


def keys_of(study: Study) -> list[tuple[str, str, str]]:
    """By what a study is found beside its own columns: (kind, value, authority)."""
    return [
        *(("patient", each.value, str(each.authority)) for each in study.patient.identifiers),
        *(("accession", each.value, each.authority or "") for each in study.accession_numbers),
        *(("name", group, "") for group in name_groups(study.patient.name)),
    ]
