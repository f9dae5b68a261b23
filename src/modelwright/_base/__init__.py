"""Small things that every package may use and that use none of ours."""
