"""What a house says of itself, made from `Transaction` values: WSDL, CapabilityStatement, and what a statement is made of.

It stands above the catalogue, so that it may look at all of it; no transaction knows how it is described. The descriptions
are in our own words: the standards' schemas are not repeated.
"""
