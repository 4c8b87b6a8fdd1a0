"""The canonical nouns: frozen values that every wire renders and no wire owns.

They import nothing of ours but each other, do no IO and know no clock. A library's object (an lxml element, a pydicom
dataset, a FHIR resource) never appears here; it stops in `profiles.wire`.
"""
