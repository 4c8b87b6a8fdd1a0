"""Metadata of a study, a series or an instance: every attribute but the pixels.

Source: DICOM PS3.18 10.4.1.1.2.
"""

from profiles.wia.metadata.messages import RetrieveMetadataRequest, RetrieveMetadataResponse
from profiles.wia.metadata.spec import RETRIEVE_METADATA

__all__ = ["RETRIEVE_METADATA", "RetrieveMetadataRequest", "RetrieveMetadataResponse"]
