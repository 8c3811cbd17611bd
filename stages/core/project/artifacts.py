"""Where the files of a project lie: one name for each path.

Stages take their paths from the command in dvc.yaml. This module is for programs that read what
the stages left: `lore`, reports, tests. Each path lies in or below an output or input of dvc.yaml,
which tests/core/project/test_artifacts.py checks.
"""

LOCK_FILE = "dvc.lock"
PIPELINE = "dvc.yaml"
PARAMS = "params.yaml"
TIMING = "metrics/timing.json"
"""Seconds and peak memory of each stage's last run here. Not hashed."""

RAW = "data/raw"
RULES = "data/raw/rules.yaml"
EXCLUSIONS = "data/raw/exclusions.yaml"
WORDINGS = "data/raw/wordings.yaml"
FEEDBACK = "data/raw/feedback.jsonl"
"""What people said about answers. `lore feedback` writes it, `reward` learns from it."""
COMPLIANCE = "data/raw/compliance.yaml"
SNAPSHOT_DECLARATION = "data/raw/snapshots.yaml"
SNAPSHOTS = "data/snapshots"
TEACHER = "data/teacher"
"""What a language model was asked and answered. `lore teach` writes it, `augment` replays it."""

EXTRACT = "data/extract"
EXTRACTED_RECORDS = "data/extract/records.parquet"
UNREADABLE_RECORDS = "data/extract/rejected.parquet"
SKIPPED_RECORDS = "data/extract/skipped.parquet"
SOURCES = "data/extract/sources.json"

CLEAN = "data/clean"
CLEAN_RECORDS = "data/clean/records.parquet"
REJECTED_RECORDS = "data/clean/rejected.parquet"
CONTRADICTIONS = "data/clean/contradictions.json"

INDEX = "models/index"
INDEX_MANIFEST = "models/index/manifest.json"
INDEX_VECTORS = "models/index/records.faiss"

AUGMENT = "data/augment"
TRAINING_RECORDS = "data/augment/records.parquet"
AUGMENT_METRICS = "metrics/augment.json"

EVALUATE = "data/evaluate"
ANSWERS = "data/evaluate/facts.parquet"
EVALUATE_METRICS = "metrics/evaluate.json"
WORDING_METRICS = "metrics/evaluate/wordings.csv"

BASE = "models/base"
TRAIN = "models/train"
REWARD = "models/reward"
ALIGN = "models/align"
DISTILL = "models/distill"
QUANTIZE = "models/quantize"
EXPORT = "models/export"
REGISTER_METRICS = "metrics/register.json"
