"""HL7 v2 messages: framing, a lazy splitter, data types, segments and acknowledgements."""
