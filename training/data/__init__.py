"""Finds pictures in folders, zips, idx files and sheets, and turns them into one uint8 tensor in memory."""
