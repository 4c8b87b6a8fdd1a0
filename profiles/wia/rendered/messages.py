"""Retrieve of a picture, in model terms."""

from dataclasses import dataclass, field

from profiles.model.identifiers import Uid
from profiles.wire.dicom.picture import Picture, RenderOptions, Viewport, Window, WindowFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveRenderedRequest:
    """Of what, and how it is to look. `frame` None: the one that shows the instance best, by custom the middle one.

    Only a thumbnail is asked of a whole study or series; which instance stands for it is the server's choice.
    """

    study_instance_uid: Uid
    series_instance_uid: Uid | None = None
    sop_instance_uid: Uid | None = None
    frame: int | None = None
    thumbnail: bool = False
    options: RenderOptions = field(default_factory=RenderOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveRenderedResponse:
    """The picture, of the kind that `options.picture` asked for."""

    picture: bytes


__all__ = [
    "Picture",
    "RenderOptions",
    "RetrieveRenderedRequest",
    "RetrieveRenderedResponse",
    "Viewport",
    "Window",
    "WindowFunction",
]
