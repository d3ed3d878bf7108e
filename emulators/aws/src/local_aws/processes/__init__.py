"""Child processes of the emulator: started, stopped, and never left behind."""
