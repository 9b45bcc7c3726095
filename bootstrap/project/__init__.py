"""Workspace and projects: their folders, settings and leases."""
