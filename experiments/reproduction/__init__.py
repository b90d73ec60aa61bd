"""What the text of Jordan, Sokol & Park (2021) says, and what the program finds, claim by claim."""
