"""Requests on studies by name: ask and tell, reading and steering, for programs in any language.

`table` holds all of them: each is an `Action`, a record that it takes and a function that does it. `actions`
serves them all.
"""
