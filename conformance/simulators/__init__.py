"""Counterparts that play the other side: small, independent of `gateway`, good enough to be believed."""
