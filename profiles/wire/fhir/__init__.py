"""FHIR R4 (4.0.1): resources as plain objects, JSON and XML as bytes, searching, errors.

A resource is a `dict` whose members stand in the standard's element order, with no member that says nothing. It never
leaves `wire`: what a transaction hands to the house are values of `profiles.model`. Typed libraries and the published
StructureDefinitions judge these resources in tests and never touch the hot path.

What a newcomer gets wrong: a Study Instance UID is `urn:oid:...` as an identifier and bare as an id, `series.uid` or
`instance.uid`; a time without a zone is not a dateTime; `modality` is a Coding here and became a CodeableConcept in R5.

Source: HL7 FHIR R4 4.0.1; ITI TF-2 Appendix Z.
"""
