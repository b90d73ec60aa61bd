"""Curves of bifurcations in a plane of two parameters, and the points of codimension two on them."""
