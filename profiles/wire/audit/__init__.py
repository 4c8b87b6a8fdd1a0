"""Audit messages: the building blocks of records, their two wire forms, the chain that keeps them, and plain sentences.

Source: DICOM PS3.15 Annex A.5; ITI TF-2 3.20; RFC 5424, RFC 5425.
"""
