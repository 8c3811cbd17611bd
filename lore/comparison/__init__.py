"""Two knowledge versions side by side: facts, settings, scores, and the first difference of two outputs."""
