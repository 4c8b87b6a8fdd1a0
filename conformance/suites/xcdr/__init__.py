"""Suites of Cross-Community Document Reliable Interchange (XCDR)."""
