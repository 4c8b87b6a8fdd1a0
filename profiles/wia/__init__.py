"""WIA and DICOMweb: instances, their metadata, frames and pictures retrieved, studies searched, instances stored.

All are `HttpTransaction` values of the service `dicomweb`. RAD-107 is one number for four kinds of retrieval; each has a
folder of its own, and the three that do not hand out instances have a word for a name.

Source: IHE RAD WIA; DICOM PS3.18 10.4 to 10.6.
"""
