"""How it moves: takes a vector field, never asks which one."""
