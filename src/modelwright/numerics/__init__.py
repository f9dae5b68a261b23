"""Numerical methods: arrays in, arrays out, and nothing known of trials or studies."""
