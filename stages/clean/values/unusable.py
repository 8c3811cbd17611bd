"""Why a record cannot be used, as what reads a value raises it."""


class Unusable(Exception):  # noqa: N818 - not an error: it carries the reason a record is set aside
    """A value that cannot be normalised: `reason` and evidence."""

    def __init__(self, reason: str, evidence: str) -> None:
        """`reason` as counted, `evidence` as shown."""
        super().__init__(evidence)
        self.reason, self.evidence = reason, evidence
