"""DICOM as bytes: Part 10 files, manifests, frames, and the DICOMweb representations of them.

The hot path reads headers with a scanner of our own and copies what it does not change; pydicom reads the unusual, decodes
compressed pixels and is the judge in tests. No pydicom object leaves this folder.

Source: DICOM PS3.5, PS3.10, PS3.18 (2026b).
"""
