"""XCPD: whom a community knows."""
