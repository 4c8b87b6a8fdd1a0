"""XDS.b: document registry and repository."""
