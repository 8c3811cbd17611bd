"""Judgements of people about answers: pairs to judge, the page, the file."""
