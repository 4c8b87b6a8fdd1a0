"""Pixel data of single frames of an instance.

Source: DICOM PS3.18 10.4.1.1.6.
"""

from profiles.wia.frames.messages import FrameForm, FramesAccept, RetrieveFramesHead, RetrieveFramesRequest
from profiles.wia.frames.spec import RETRIEVE_FRAMES

__all__ = ["RETRIEVE_FRAMES", "FrameForm", "FramesAccept", "RetrieveFramesHead", "RetrieveFramesRequest"]
