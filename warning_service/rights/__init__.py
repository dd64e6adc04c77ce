"""What families may ask of a board: refusal, disclosure, correction, stop of use; the register."""
