"""XDS-I.b: imaging document source and consumer."""
