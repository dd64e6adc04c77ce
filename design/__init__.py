"""The one design language: tokens, components, page frame, wording, dates."""
