"""`gru-sweep locate` and `curves`."""
