"""The recorded teacher: wordings, questions and paraphrases that a language model wrote, as data.

`lore teach` asks an endpoint, and keeps every request with its answer in data/teacher. The stage `augment` only
replays: it works out which requests the settings and records call for (`requests.py`), looks them up in the
record (`record.py`), reads the answers (`answers.py`), and takes what passes the checks (`checks.py`,
`accepting.py`). Nothing in this package opens a connection.
"""
