"""Helpers without knowledge of networks: atomic files, locks, paths, devices, provenance."""
