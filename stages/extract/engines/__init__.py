"""Recognition engines: OCR, speech, and the text layer of PDF.

An engine knows no settings of sources and makes no units. It gets a picture, samples or a page, and
returns texts, each with its place and the engine's confidence in [0, 1].
"""
