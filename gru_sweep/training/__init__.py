"""Where cells come from when they are learnt: data sets, networks, their training, and what they do then."""
