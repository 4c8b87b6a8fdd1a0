"""Patients: identity feeds by HL7 v2."""
