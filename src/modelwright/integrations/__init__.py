"""Bridges to other libraries, one module each; none is loaded unless it is used."""
