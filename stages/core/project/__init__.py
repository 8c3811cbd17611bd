"""The project a stage runs in: settings, locked libraries, runtime, errors, output files."""
