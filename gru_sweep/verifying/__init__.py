"""Whether a file is what was written, and says what was computed: its bytes, its columns, a sample anew."""
