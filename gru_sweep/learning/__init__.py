"""The school: a task joined to networks of some sizes and seeds, their training, and one file of it all."""
