"""Scheduled workflow: what a manager of images tells others."""
