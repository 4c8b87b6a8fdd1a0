"""Rules of a Provide and Register request that was read.

Hash and size are compared by the repository when the bytes have been counted; here only what the message says.

Source: ITI TF-2 3.41.4.1.3; ITI TF-3 table 4.3.1-3.
"""

from profiles.wire.ebxml.provide import (
    every_document_has_an_entry,
    every_entry_has_a_document,
    metadata_is_complete,
)

CHECKS = (metadata_is_complete, every_entry_has_a_document, every_document_has_an_entry)
