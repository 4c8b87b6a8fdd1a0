"""Pictures of instances and frames, and thumbnails.

Source: DICOM PS3.18 10.4.1.1.3, 10.4.1.1.4.
"""

from profiles.wia.rendered.messages import (
    Picture,
    RenderOptions,
    RetrieveRenderedRequest,
    RetrieveRenderedResponse,
    Viewport,
    Window,
    WindowFunction,
)
from profiles.wia.rendered.spec import RETRIEVE_RENDERED

__all__ = [
    "RETRIEVE_RENDERED",
    "Picture",
    "RenderOptions",
    "RetrieveRenderedRequest",
    "RetrieveRenderedResponse",
    "Viewport",
    "Window",
    "WindowFunction",
]
