"""The house's own nouns; the standards' are in `profiles.model`."""
