"""A judge of answers: the model that `reward` trains, and that `align` asks."""
