"""The commands of `lore`, one module each: arguments, messages, and calls into the other rooms."""
