"""Small faults put into the code, one at a time: do the tests notice? mutmut makes the faults, `warm` tries them."""
