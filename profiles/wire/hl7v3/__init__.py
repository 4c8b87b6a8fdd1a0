"""HL7 V3 (Normative Edition 2008, XML ITS 1.0) as PIXV3, PDQV3 and XCPD speak it: wrappers, persons, questions, answers.

What a newcomer gets wrong: an OID here is bare, also that of a home community; `urn:oid:` belongs to ebXML.
"""
