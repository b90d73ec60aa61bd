"""The Hopf map as others would compute it, for comparison: `run(alpha, beta, s)` in each module."""
