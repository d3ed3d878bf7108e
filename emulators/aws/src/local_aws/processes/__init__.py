"""Starts and stops child processes of the emulator, and ends them if the emulator crashes."""
