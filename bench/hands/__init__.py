"""Commands by hand, on folders of 200 mixed files and sets of 20,000: `python -m bench.hands`."""
