"""Web-based image access: DICOMweb at an imaging document source and at an image manager."""
