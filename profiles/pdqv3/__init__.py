"""PDQV3: who fits these demographics, by HL7 V3. Source: ITI TF-1 24; ITI TF-2 3.47."""
