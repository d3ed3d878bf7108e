"""Rules of AWS's services that their service models do not state: one entry per rule, each with its source."""
