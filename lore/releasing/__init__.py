"""Releases and rollbacks as transactions: tag, alias, files, model."""
