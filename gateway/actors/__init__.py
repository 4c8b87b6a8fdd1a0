"""The IHE actors that we play. A method answers one transaction; what it does is a service's."""
