"""Every error a person can meet, as a tree. Messages say what, where, and what to do next.

LorekeepError
├── ParamsError      params.yaml: unknown, missing or ill-typed keys, all in one message
├── InputError       a file or folder is missing, unreadable or not what it should be
├── GitError         git failed: a damaged or foreign repository, an object that cannot be had
├── UnknownStageError  no stage of this name; names the nearest one
├── RecordError      a record breaks the schema (a bug or a hand-edited file, never dirty data)
├── ModelError       a model folder or checkpoint cannot be used
├── ExecutorError    run.executor cannot be used: not installed, not reachable, or other code on a node
├── LockError        the installed libraries are not those of the lock file
└── GateError        a registration gate failed: names the gate, its limit and the measured number

Dirty data raises nothing. The record is set aside with its reason: see `record.REJECTED`.
"""


class LorekeepError(Exception):
    """Base of all errors raised on purpose. The launcher prints it without a traceback and exits with 1."""


class ParamsError(LorekeepError):
    """The parameters cannot be used. Holds every problem found, one line each."""


class InputError(LorekeepError):
    """An input file or folder is missing, unreadable or malformed as a whole."""


class GitError(InputError):
    """Git failed to answer. This does not mean that a thing is absent: nobody knows whether it is."""


class UnknownStageError(InputError):
    """No stage has this name."""


class RecordError(LorekeepError):
    """A table does not follow the Record schema."""


class ModelError(LorekeepError):
    """A model, tokenizer or adapter cannot be loaded or does not fit."""


class ExecutorError(LorekeepError):
    """The executor, which shares work between processes or machines, cannot be used."""


class LockError(LorekeepError):
    """The installed libraries differ from requirements.lock."""


class GateError(LorekeepError):
    """A registration gate failed."""
