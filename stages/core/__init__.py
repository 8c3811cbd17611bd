"""What two or more stages share, each module a domain noun. Stages import core; core imports no stage."""
