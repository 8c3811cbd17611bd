"""Knowledge versions: any revision read through git and DVC's cache."""
