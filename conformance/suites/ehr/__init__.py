"""The EHR's side: FHIR R4 ImagingStudy, and what stands around it."""
