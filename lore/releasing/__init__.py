"""Releases and rollbacks as transactions: tag, alias, files and model change together."""
