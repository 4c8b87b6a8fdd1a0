"""Use cases over ports. No wire, no socket, no table: what this house does, in the standards' nouns."""
