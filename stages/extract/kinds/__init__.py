"""Kinds of sources: one module each.

How to add a kind of source:

1. Write a module here with one frozen dataclass that derives from `SourceSettings`
   (`stages/extract/source.py`). It starts with these fields, and adds its own settings:

       @dataclass(frozen=True, config=STRICT)
       class Notes(SourceSettings):
           kind: Literal["notes"]    # what `kind:` in params.yaml selects
           name: str
           path: str
           lang: str
           map: Mapping

2. Implement `units(path)`. It yields one `Unit` per entry of the file: its position in the file, the
   text as it was read, and its cells by column or path. An entry that cannot be read has no cells,
   but a reason (one word, which reports count) and evidence (a text for the reader). A file that
   cannot be read as a whole raises InputError.

3. Override these methods where the kind needs them:
   `problems()` lists settings that do not fit together.
   `details(files)` returns further entries for sources.json, such as the version of an engine.
   `column_names(unit)` returns the names of columns, which the message about a wrong `map` shows.

4. If reading is slow, as recognition is, have its result remembered. Write a function of the module,
   such as `recognise_picture` in `pages.py`. Its arguments are the file and the settings that change what is
   read. It yields values that JSON can hold. Call it through `stages.core.repeatable.memo`, with the
   engine's version. Settings that only select from the result, such as `min_confidence`, belong in
   `units`: then another value needs no new reading. The memo sees changed code, and tables in a
   folder `data` beside it, but no other files.
   Recognition engines (OCR, speech, the text layer of PDF) live in `stages/extract/engines/`.

5. Add the class to `AnySource` in `stages/extract/__init__.py`. Its settings are then checked as
   strictly as all others, and mypy checks that it fits `SourceKind`.

6. Add tests in `tests/stages/extract/kinds/`, and name the kind in the comments of params.yaml.
"""
