"""What `experiments/census.py` is made of: draws, counts, climbs, verdicts, and their table and picture."""
