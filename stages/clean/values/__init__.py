"""Numbers, units, quantities and dates, in English and Chinese."""
