"""Retrieve of frames, in model terms."""

from dataclasses import dataclass

from profiles.model.identifiers import Uid
from profiles.wire.dicom.web import FrameForm, FramesAccept


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveFramesRequest:
    """Which frames (1-based, in the order asked for) of which instance, and the ways in which they may come.

    `accept.choose(stored)` says which it is, once it is known how the instance is stored.
    """

    study_instance_uid: Uid
    series_instance_uid: Uid
    sop_instance_uid: Uid
    frames: tuple[int, ...]
    accept: FramesAccept


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveFramesHead:
    """How the frames will come; parts are keyed by frame number, in the order asked for.

    `sizes` are those of the frames in that order, where they are known.
    """

    form: FrameForm
    frames: tuple[int, ...]
    sizes: tuple[int, ...] | None = None


__all__ = ["FrameForm", "FramesAccept", "RetrieveFramesHead", "RetrieveFramesRequest"]
