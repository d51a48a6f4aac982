"""Snapshots of graphs in files beside the tests: names, files, comparison, and what is no longer used."""
