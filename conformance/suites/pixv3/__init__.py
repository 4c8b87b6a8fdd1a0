"""PIX by HL7 V3: a manager that is fed and asked."""
