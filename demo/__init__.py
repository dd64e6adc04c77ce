"""A made-up town that shows Kizashi at work; for looking and load, never for accuracy claims."""
