"""Scheduled Workflow and its neighbours: orders and results over HL7 v2. Source: RAD TF-1 3, TF-2 4."""
