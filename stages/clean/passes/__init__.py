"""The passes of `clean` over the whole corpus."""
