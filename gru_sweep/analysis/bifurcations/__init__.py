"""Where portraits change: events on a line of parameters, curves of them in a plane."""
