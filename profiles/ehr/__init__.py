"""What an EHR asks of us by FHIR: interactions that have no IHE number, a folder and a word for a name each.

All of them are `FhirTransaction` values, served below `/fhir/r4`. They answer in model terms; resources are made in
`profiles.wire.fhir`.

Source: HL7 FHIR R4 4.0.1, RESTful API; ITI TF-2 Appendix Z.
"""
