"""Rebuild a revision in another folder and compare its outputs with dvc.lock."""
