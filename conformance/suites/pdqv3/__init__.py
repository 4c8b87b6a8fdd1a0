"""PDQ by HL7 V3: who fits."""
