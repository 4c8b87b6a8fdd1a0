"""Framings and syntaxes that several transactions share. Elements, datasets and resources stop here."""
